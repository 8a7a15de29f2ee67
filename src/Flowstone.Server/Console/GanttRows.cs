using System.Globalization;
using Flowstone.Executions;

namespace Flowstone.Server.Console;

/// <summary>A step's bar.</summary>
/// <param name="Label">The node, and which attempt and round of a loop it was if there were several.</param>
/// <param name="Left">Per cent of the axis, as <paramref name="Width"/>: the drawing then fits any screen.</param>
public sealed record GanttRow(TimelineStep Step, string Label, double Left, double Width)
{
    public string Duration => Step.Execution.FinishedAt is null ? "running" : Wording.Duration(Step.Execution.Duration);

    /// <summary>Where the duration is written: behind the bar, before it, or inside, whichever has room.</summary>
    public (double X, string Anchor, int Shift, bool Inside) DurationPlace
        => Left + Width < 78 ? (Left + Width, "start", 5, false) : Left > 22 ? (Left, "end", -5, false) : (Left + Width, "end", -5, true);

    public string Title => string.Join('\n',
        new[] { Label, $"{Choice.Text(Step.Execution.Status)}, {Duration}", $"{Wording.ExactTime(Step.Execution.StartedAt)} to {Wording.ExactTime(Step.Execution.FinishedAt)} UTC", Step.Execution.Error }
            .Where(line => line is not null));
}

/// <summary>The steps of an execution, laid out on one axis of time.</summary>
public sealed class GanttRows
{
    /// <summary>More rows than this nobody reads; the API has all.</summary>
    const int MostShown = 250;

    static readonly TimeSpan[] tickSteps =
    [
        .. from power in Enumerable.Range(-4, 5) from digit in (int[])[1, 2, 5] select TimeSpan.FromSeconds(digit * Math.Pow(10, power)),
        .. from seconds in (int[])[10, 15, 30] select TimeSpan.FromSeconds(seconds),
        .. from minutes in (int[])[1, 2, 5, 10, 15, 30, 60, 120, 300, 720, 1440, 2880, 7200, 14400, 43200] select TimeSpan.FromMinutes(minutes),
    ];

    public GanttRows(ExecutionTimeline timeline, DateTimeOffset now)
    {
        Total = timeline.Steps.Count;
        var steps = timeline.Steps.Take(MostShown).ToList();
        var from = steps.Min(s => s.Execution.StartedAt);
        if (timeline.Execution.StartedAt is { } started && started < from)
            from = started;
        var length = steps.Max(s => s.Execution.FinishedAt ?? now) - from;
        if (timeline.Execution.FinishedAt is { } finished && finished - from > length)
            length = finished - from;
        Length = length > TimeSpan.FromMilliseconds(1) ? length : TimeSpan.FromMilliseconds(1);
        var rounds = steps.Where(s => s.Execution.Iteration > 0).Select(s => s.Node.Node).ToHashSet();
        var retried = steps.Where(s => s.Execution.Attempt > 1).Select(s => (s.Node.Node, s.Execution.Iteration)).ToHashSet();
        Shown = [.. steps.Select(step => new GanttRow(step, Label(step),
            Percent(step.Execution.StartedAt - from), Percent((step.Execution.FinishedAt ?? now) - step.Execution.StartedAt)))];

        string Label(TimelineStep step) => step.Node.Name
            + (rounds.Contains(step.Node.Node) ? $" · round {step.Execution.Iteration + 1}" : "")
            + (retried.Contains((step.Node.Node, step.Execution.Iteration)) ? $" · attempt {step.Execution.Attempt}" : "");
    }

    public IReadOnlyList<GanttRow> Shown { get; }
    public int Total { get; }
    public TimeSpan Length { get; }

    /// <summary>Round times at a readable distance: about five.</summary>
    public IEnumerable<(double X, string Text)> Ticks
    {
        get
        {
            var step = tickSteps.FirstOrDefault(step => Length / step <= 6, tickSteps[^1]);
            for (var at = TimeSpan.Zero; at <= Length; at += step)
                yield return (Percent(at), at == TimeSpan.Zero ? "0" : Tick(at));
        }
    }

    double Percent(TimeSpan time) => Math.Clamp(time / Length * 100, 0, 100);

    static string Tick(TimeSpan at) => at switch
    {
        { TotalSeconds: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{at.TotalMilliseconds:0.##} ms"),
        { TotalMinutes: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{at.TotalSeconds:0.##} s"),
        { TotalHours: < 1 } => at.Seconds == 0 ? $"{at.Minutes} min" : $"{at.Minutes}:{at.Seconds:00} min",
        _ => $"{(int)at.TotalHours}:{at.Minutes:00} h",
    };
}
