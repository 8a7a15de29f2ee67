using System.Globalization;

namespace Flowstone.CrashTest;

/// <summary>What the database holds, against what was acknowledged and what the undisturbed run left.</summary>
sealed class Verdict
{
    readonly List<(string Rule, int Found, List<string> Examples)> rules = [];
    int executions, steps, lateRefused, acknowledged;

    public bool IsClean => executions > 0 && rules.TrueForAll(rule => rule.Found == 0);   // of nothing, nothing is proven

    public static async Task<Verdict> FindAsync(Stage stage, Guid disturbed, Guid undisturbed, AcknowledgedWrites writes, Disturbances disturbances)
    {
        var rows = await stage.QueryAsync("select id, status, claims, reason from flowstone.executions where tenant_id = $1",
            row => (Id: row.GetGuid(0), Status: row.GetString(1), Claims: row.GetInt32(2), Reason: row.IsDBNull(3) ? null : row.GetString(3)), disturbed);
        var nodes = await stage.QueryAsync("select execution_id, node, attempt, status, reason from flowstone.node_executions where tenant_id = $1",
            row => (Execution: row.GetGuid(0), Node: row.GetInt32(1), Attempt: (int)row.GetInt16(2), Status: row.GetString(3), Reason: row.IsDBNull(4) ? null : row.GetString(4)), disturbed);
        var effects = await EffectsAsync(stage, disturbed);
        var expected = await EffectsAsync(stage, undisturbed);
        var effectsOf = (await stage.QueryAsync("select execution_id, node, value from crash_effects where tenant_id = $1", row => (Execution: row.GetGuid(0), Node: row.GetInt32(1), Value: row.GetString(2)), disturbed))
            .ToLookup(row => row.Execution, row => (row.Node, row.Value));
        var byId = rows.ToDictionary(row => row.Id);
        var bySteps = nodes.ToDictionary(row => (row.Execution, row.Node, row.Attempt));
        var successes = nodes.Where(row => row.Status == "SUCCESS").GroupBy(row => (row.Execution, row.Node)).ToDictionary(group => group.Key, group => group.Count());

        var verdict = new Verdict
        {
            executions = rows.Count,
            steps = nodes.Count,
            lateRefused = writes.Writes.Count(write => write.Kind == 'R'),
            acknowledged = writes.Starts.Count + writes.Writes.Count(write => write.Kind is 'B' or 'E' or 'F'),
        };
        verdict.Rule("acknowledged writes lost",
        [
            .. writes.Starts.Keys.Where(id => !byId.ContainsKey(id)).Select(id => $"start of {id}"),
            .. writes.Writes.Where(write => write.Kind == 'B' && !bySteps.ContainsKey((write.Execution, write.Node, write.Attempt))).Select(write => $"start of a step: {write}"),
            .. writes.Writes.Where(write => write.Kind == 'E' && (bySteps.GetValueOrDefault((write.Execution, write.Node, write.Attempt)).Status != "SUCCESS"
                || !effectsOf[write.Execution].Contains((write.Node, write.Text)))).Select(write => $"end of a step: {write}"),
            .. writes.Writes.Where(write => write.Kind == 'F' && byId.GetValueOrDefault(write.Execution) is not { Status: "SUCCESS" } row).Select(write => $"end: {write}"),
        ]);
        verdict.Rule("steps recorded twice",
        [
            .. successes.Where(pair => pair.Value > 1).Select(pair => $"{pair.Key}: {pair.Value} times"),
            .. writes.Writes.Where(write => write.Kind == 'E').GroupBy(write => (write.Execution, write.Node)).Where(group => group.Count() > 1).Select(group => $"acknowledged {group.Count()} times: {group.First()}"),
            .. writes.Writes.Where(write => write.Kind == 'F').GroupBy(write => write.Execution).Where(group => group.Count() > 1).Select(group => $"ended {group.Count()} times: {group.First()}"),
        ]);
        verdict.Rule("late writes accepted",
        [
            .. nodes.Where(row => row.Attempt >= ChainRun.LateAttempt).Select(row => $"{row}"),
            .. rows.Where(row => row.Reason == ChainRun.LateReason).Select(row => $"{row}"),
            .. writes.Writes.Where(write => write.Kind == 'L').Select(write => $"{write}"),
            .. writes.Writes.Where(write => write.Kind == 'F' && byId.GetValueOrDefault(write.Execution) is { Id: var id } row && id != default && row.Claims != write.Fence).Select(write => $"ended under an old fence: {write}"),
        ]);
        verdict.Rule("runs stuck after lease + 5 s", disturbances.Stuck);
        verdict.Rule("runs unfinished", [.. rows.Where(row => row.Status is not "SUCCESS").Select(row => $"{row}")]);
        verdict.Rule("steps missing or left open",
        [
            .. rows.SelectMany(row => Enumerable.Range(0, Chain.Nodes).Where(node => !successes.ContainsKey((row.Id, node))).Select(node => $"{row.Id} {node}")),
            .. nodes.Where(row => row.Status is not "SUCCESS" && row.Reason is not "LOST_WORKER").Select(row => $"{row}"),
        ]);
        verdict.Rule("side effects unlike the undisturbed run",
        [
            .. effects.Keys.Union(expected.Keys).Where(key => !effects.GetValueOrDefault(key, []).SequenceEqual(expected.GetValueOrDefault(key, [])))
                .Select(key => $"execution {key.Ordinal} node {key.Node}: {effects.GetValueOrDefault(key, []).Count} instead of {expected.GetValueOrDefault(key, []).Count}"),
        ]);
        return verdict;
    }

    static async Task<Dictionary<(int Ordinal, int Node), List<string>>> EffectsAsync(Stage stage, Guid tenant)
        => (await stage.QueryAsync("select ordinal, node, value from crash_effects where tenant_id = $1 order by value", row => (row.GetInt32(0), row.GetInt32(1), row.GetString(2)), tenant))
            .GroupBy(row => (row.Item1, row.Item2)).ToDictionary(group => group.Key, group => group.Select(row => row.Item3).ToList());

    void Rule(string rule, List<string> found) => rules.Add((rule, found.Count, found[..Math.Min(20, found.Count)]));

    public void Print(TextWriter output, Disturbances disturbances, TimeSpan disturbed, TimeSpan all)
    {
        Line("kill points", $"{disturbances.Kills:N0} in {disturbed.TotalMinutes:N1} min, {disturbances.Places} different places in a run");
        foreach (var boundary in Enum.GetValues<Boundary>())
            Line($"  {Words(boundary)}", $"{disturbances.At(boundary):N0}");
        Line("  workers at random instants", $"{disturbances.AtRandom:N0}");
        Line("  PostgreSQL", $"{disturbances.Postgres:N0}");
        Line("  server", $"{disturbances.Server:N0}");
        Line("pauses beyond the lease", $"{disturbances.Pauses:N0}");
        Line("executions", $"{executions:N0}, {steps:N0} attempts of {executions * Chain.Nodes:N0} steps");
        Line("acknowledged writes", $"{acknowledged:N0}");
        Line("late writes refused", $"{lateRefused:N0}");
        Line("longest take-over", $"{disturbances.LongestTakeOver.TotalSeconds:N1} s after the lease");
        output.WriteLine();
        foreach (var (rule, found, examples) in rules)
        {
            Line(rule, $"{found:N0}{(found > 0 ? "   MISMATCH" : "")}");
            foreach (var example in examples)
                output.WriteLine($"    {example}");
        }
        Line("", IsClean ? $"as if nobody had disturbed it ({all.TotalMinutes:N1} min in all)" : "SOMETHING WAS LOST, DOUBLED OR STUCK");

        void Line(string name, string value) => output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-42} {value}"));
    }

    static string Words(Boundary boundary) => boundary switch
    {
        Boundary.BeforeStart => "before a step's start is recorded",
        Boundary.StartUnderWay => "while it is recorded",
        Boundary.AfterStart => "after it is recorded",
        Boundary.AfterEffect => "after the effect, before the commit",
        Boundary.CommitUnderWay => "while it commits",
        Boundary.AfterCommit => "after the commit, before the answer",
        _ => "after the answer",
    };
}
