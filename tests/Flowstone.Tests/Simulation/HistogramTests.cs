using Flowstone.Cli.Simulation;

namespace Flowstone.Tests.Simulation;

public sealed class HistogramTests
{
    [Fact]
    public void Percentiles_are_at_most_two_percent_off()
    {
        var histogram = new Histogram();
        for (var i = 1; i <= 10_000; i++)
            histogram.Add(TimeSpan.FromMicroseconds(i * 10));

        foreach (var share in new[] { 0.01, 0.5, 0.95, 0.99 })
            Assert.InRange(histogram.Percentile(share).TotalMicroseconds / (share * 100_000), 0.97, 1.03);
        Assert.Equal(TimeSpan.FromMilliseconds(100), histogram.Max);
        Assert.Equal(TimeSpan.Zero, new Histogram().Percentile(0.5));
    }
}
