using System.Diagnostics.Metrics;

namespace Flowstone.Executions;

/// <summary>What the queue tells of itself, under the meter <c>Flowstone</c>.</summary>
static class QueueMeters
{
    static readonly Meter meter = new("Flowstone");

    public static readonly Histogram<int> BatchSize = meter.CreateHistogram<int>("flowstone.write.batch_size", "{call}", "Calls that shared a transaction.");
    public static readonly Histogram<double> Wait = meter.CreateHistogram<double>("flowstone.write.wait", "s", "How long a call waited until it was sent.");
    public static readonly Histogram<double> Commit = meter.CreateHistogram<double>("flowstone.write.commit", "s", "How long a transaction of calls took, its commit included.");
    public static readonly Histogram<int> Claimed = meter.CreateHistogram<int>("flowstone.claim.size", "{execution}", "Executions that a claim found.");
    public static readonly Histogram<double> Claim = meter.CreateHistogram<double>("flowstone.claim.duration", "s", "How long a claim took.");
}
