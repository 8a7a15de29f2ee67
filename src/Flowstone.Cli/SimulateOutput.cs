using System.Text.Json;
using Flowstone.Cli.Simulation;
using Spectre.Console;

namespace Flowstone.Cli;

/// <summary>What <c>flowstone simulate</c> shows: a bar while it runs, a table and the check's verdict at the end.</summary>
sealed class SimulateOutput(TextWriter output, bool json)
{
    static readonly TimeSpan Refresh = TimeSpan.FromMilliseconds(250);

    static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Shows how far it is, if somebody watches.</summary>
    /// <param name="total">How many executions there will be, if that is known.</param>
    public async Task<T> WatchAsync<T>(Measurements measurements, int? total, Task<T> running)
    {
        if (json || Console.IsOutputRedirected || Console.IsErrorRedirected)
            return await running;
        await AnsiConsole.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn())
            .StartAsync(async progress =>
            {
                var bar = progress.AddTask("starting", maxValue: Math.Max(1, total ?? 1));
                bar.IsIndeterminate = total is null;
                var (steps, wait) = (0L, Refresh);
                while (!running.IsCompleted)
                {
                    await Task.WhenAny(running, Task.Delay(wait));
                    var now = measurements.Steps;
                    bar.Description = total is { } all && measurements.FinishedExecutions >= all ? "checking"
                        : $"{measurements.FinishedExecutions:N0} executions, {(now - steps) / wait.TotalSeconds:N0} steps/s";
                    bar.Value = measurements.FinishedExecutions;
                    steps = now;
                }
            });
        return await running;
    }

    /// <returns>The exit code.</returns>
    public int Write(SimulationReport report)
    {
        if (json)
            WriteJson(report.Elapsed, report.Measurements, report.Check, report.Interrupted, journal: null);
        else
        {
            if (report.Interrupted)
                output.WriteLine($"Interrupted: this is a partial result. {report.Check.Unfinished:N0} executions are left under way; "
                    + $"the next simulation on these tenants takes them over within {report.Options.Lease.TotalSeconds:N0} s.");
            WriteTable(report.Elapsed, report.Measurements);
            WriteCheck(report.Check);
        }
        return report.Check.Mismatches == 0 ? 0 : 1;
    }

    /// <inheritdoc cref="Write(SimulationReport)"/>
    public int Write(JournalReport report)
    {
        if (json)
            WriteJson(report.Elapsed, report.Measurements, report.Check, interrupted: false, report.Journal);
        else
        {
            output.WriteLine($"journal        {report.Journal.Events:N0} acknowledged events of {report.Journal.Runs.Count:N0} executions in "
                + $"{report.Journal.Sessions.Count:N0} sessions, {report.Journal.TornLines:N0} torn lines");
            output.WriteLine($"left over      {report.Measurements.FinishedExecutions:N0} executions finished now, "
                + $"{report.Measurements.Resumed:N0} taken over, in {report.Elapsed.TotalSeconds:N1} s");
            WriteCheck(report.Check);
        }
        return report.Check.Mismatches == 0 ? 0 : 1;
    }

    void WriteTable(TimeSpan elapsed, Measurements m)
    {
        var seconds = Math.Max(0.001, elapsed.TotalSeconds);
        Line("executions", $"{m.FinishedExecutions:N0} finished ({m.FailedExecutions:N0} of them failed, as planned), {m.StartedExecutions:N0} started, in {seconds:N1} s");
        Line("throughput", $"{m.FinishedExecutions / seconds:N1} executions/s, {m.Steps / seconds:N0} steps/s");
        Line("steps", $"{m.Steps:N0}, {m.FailedSteps:N0} of them failed tries");
        Line("payloads", $"{m.PayloadBytes / 1e6:N1} MB made, {m.PayloadBytes / 1e6 / seconds:N1} MB/s, before compression");
        Line("disturbances", $"{m.Resumed:N0} executions taken over, {m.LostLeases:N0} leases lost, {m.Retries:N0} calls repeated");
        output.WriteLine();
        output.WriteLine($"{"latency, ms",-14}{"calls",12}{"p50",10}{"p95",10}{"p99",10}{"max",10}");
        foreach (var (name, histogram) in Latencies(m))
            output.WriteLine($"{name,-14}{histogram.Count,12:N0}{Ms(histogram.Percentile(0.5)),10:N2}{Ms(histogram.Percentile(0.95)),10:N2}{Ms(histogram.Percentile(0.99)),10:N2}{Ms(histogram.Max),10:N2}");
        output.WriteLine();
    }

    void WriteCheck(CheckReport check)
    {
        Line("checked", $"{check.Executions:N0} executions, {check.Steps:N0} steps, {check.Bodies:N0} payloads read back"
            + $"{(check.Unfinished > 0 ? $", {check.Unfinished:N0} executions still under way" : "")}");
        foreach (var example in check.Examples)
            output.WriteLine($"  {example}");
        if (check.Mismatches > check.Examples.Count)
            output.WriteLine($"  … and {check.Mismatches - check.Examples.Count:N0} more");
        output.WriteLine($"{check.Mismatches} mismatches");
    }

    void WriteJson(TimeSpan elapsed, Measurements m, CheckReport check, bool interrupted, JournalFile? journal)
        => output.WriteLine(JsonSerializer.Serialize(new
        {
            interrupted,
            elapsedSeconds = elapsed.TotalSeconds,
            started = m.StartedExecutions,
            finished = m.FinishedExecutions,
            failed = m.FailedExecutions,
            steps = m.Steps,
            failedSteps = m.FailedSteps,
            executionsPerSecond = m.FinishedExecutions / Math.Max(0.001, elapsed.TotalSeconds),
            stepsPerSecond = m.Steps / Math.Max(0.001, elapsed.TotalSeconds),
            payloadBytes = m.PayloadBytes,
            takenOver = m.Resumed,
            leasesLost = m.LostLeases,
            callsRepeated = m.Retries,
            latencyMs = Latencies(m).ToDictionary(l => l.Name, l => new
            {
                calls = l.Histogram.Count,
                p50 = Ms(l.Histogram.Percentile(0.5)),
                p95 = Ms(l.Histogram.Percentile(0.95)),
                p99 = Ms(l.Histogram.Percentile(0.99)),
                max = Ms(l.Histogram.Max),
            }),
            journal = journal is null ? null : new { journal.Events, executions = journal.Runs.Count, sessions = journal.Sessions.Count, journal.TornLines },
            check,
        }, Indented));

    static IEnumerable<(string Name, Histogram Histogram)> Latencies(Measurements m)
        => [("start", m.Start), ("claim", m.Claim), ("record", m.Record), ("finish", m.Finish)];

    void Line(string name, string text) => output.WriteLine($"{name,-15}{text}");

    static double Ms(TimeSpan time) => time.TotalMilliseconds;
}
