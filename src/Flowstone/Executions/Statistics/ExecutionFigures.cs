namespace Flowstone.Executions;

/// <summary>How executions ended, and in how long.</summary>
/// <param name="Counts">How many by status; a status without any is absent. What is not finished is counted as it is now.</param>
/// <param name="SuccessRate">SUCCESS among SUCCESS, FAILED and TIMEOUT, 0 to 1; null if there is none of them.</param>
/// <param name="Duration">Time at work of the same; null if there is none of them. A cancelled execution says nothing of how long one takes.</param>
/// <param name="AverageWait">From due to started, of the same.</param>
public sealed record ExecutionFigures(IReadOnlyDictionary<ExecutionStatus, long> Counts, double? SuccessRate, DurationFigures? Duration, TimeSpan? AverageWait);

/// <summary>The average is exact; the percentiles are read from classes of durations, and right within 2 %.</summary>
public sealed record DurationFigures(TimeSpan Average, TimeSpan P50, TimeSpan P95, TimeSpan P99);

/// <summary>Durations of a class.</summary>
readonly record struct StatisticsRow(ExecutionStatus Status, short Bucket, long Executions, long DurationMs, long WaitMs)
{
    static readonly ExecutionStatus[] telling = [ExecutionStatus.Success, ExecutionStatus.Failed, ExecutionStatus.Timeout];

    public static ExecutionFigures Sum(IReadOnlyList<StatisticsRow> rows, IEnumerable<(ExecutionStatus Status, long Count)> unfinished)
    {
        var counts = rows.GroupBy(row => row.Status).Select(g => (Status: g.Key, Count: g.Sum(row => row.Executions))).Concat(unfinished).ToDictionary(c => c.Status, c => c.Count);
        var told = rows.Where(row => telling.Contains(row.Status)).OrderBy(row => row.Bucket).ToList();
        var ended = told.Sum(row => row.Executions);
        if (ended == 0)
            return new ExecutionFigures(counts, null, null, null);
        var duration = new DurationFigures(Milliseconds((double)told.Sum(row => row.DurationMs) / ended), Percentile(0.5), Percentile(0.95), Percentile(0.99));
        return new ExecutionFigures(counts, (double)counts.GetValueOrDefault(ExecutionStatus.Success) / ended, duration, Milliseconds((double)told.Sum(row => row.WaitMs) / ended));

        TimeSpan Percentile(double share)
        {
            var rank = (long)Math.Ceiling(share * ended);
            foreach (var row in told)
            {
                if ((rank -= row.Executions) <= 0)
                    return Milliseconds(DurationBucket.Middle(row.Bucket));
            }
            throw new InvalidOperationException("A share of all is among them.");
        }

        static TimeSpan Milliseconds(double milliseconds) => TimeSpan.FromMicroseconds(Math.Round(milliseconds * 1000));
    }
}
