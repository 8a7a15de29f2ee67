using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Flowstone.Data;
using Flowstone.Tests.Workflows.Versions;
using Flowstone.Workflows;

namespace Flowstone.CrashTest;

/// <summary>
/// 50 editors save one workflow at once, each based on what it saw last: every save that was acknowledged is a version, and each version is what a merge worked
/// out another way gives of the version its author saw, the one before, and what was sent.
/// </summary>
sealed class EditorsCampaign(CampaignOptions options)
{
    const int Editors = 50;

    readonly ConcurrentDictionary<int, (int BasedOn, JsonElement Mine)> acknowledged = new();
    int saves, merged, conflicts, twice;

    /// <returns>Whether nothing was lost.</returns>
    public async Task<bool> RunAsync(CancellationToken stop)
    {
        await using var stage = await Stage.OpenAsync(stop);
        var (tenant, workflow) = await stage.NewTenantAsync("editors");
        var began = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Editors).Select(editor => EditAsync(tenant.Workflows, workflow.Id, editor, stop)));
        var editing = began.Elapsed;

        var newest = (await tenant.Workflows.FindAsync(workflow.Id, stop))!.Version;
        var numbers = (await tenant.Workflows.VersionsAsync(workflow.Id, null, int.MaxValue, stop)).Select(version => version.Number).Reverse().ToList();
        var versions = new List<WorkflowVersion>();
        for (var number = 1; number <= newest; number++)
            versions.Add((await tenant.Workflows.FindVersionAsync(workflow.Id, number, stop))!);
        var wrong = versions.Skip(1).AsParallel().Count(version => !IsRight(version));
        var rules = new (string Rule, long Found)[]
        {
            ("acknowledged saves without a version", acknowledged.Keys.Count(number => number < 2 || number > newest)),
            ("versions that nobody was told of", versions.Skip(1).Count(version => !acknowledged.ContainsKey(version.Number))),
            ("told of one version twice", twice),
            ("gaps or repeats among the numbers", numbers.SequenceEqual(Enumerable.Range(1, newest)) ? 0 : 1),
            ("versions other than the oracle's merge", wrong),
        };
        Line("saves acknowledged", $"{acknowledged.Count:N0} by {Editors} editors in {editing.TotalSeconds:N0} s ({acknowledged.Count / editing.TotalSeconds:N0}/s)");
        Line("merged", $"{merged:N0}");
        Line("conflicts, which were edited anew", $"{conflicts:N0}");
        Line("nodes in the end", $"{versions[^1].Definition.GetProperty("nodes").GetArrayLength():N0}");
        foreach (var (rule, found) in rules)
            Line(rule, $"{found:N0}{(found > 0 ? "   MISMATCH" : "")}");
        return acknowledged.Count == options.Count && Array.TrueForAll(rules, rule => rule.Found == 0);

        bool IsRight(WorkflowVersion version)
            => acknowledged.TryGetValue(version.Number, out var sent) && version.BasedOn == sent.BasedOn
                && MergeOracle.Merge(versions[sent.BasedOn - 1].Definition, versions[version.Number - 2].Definition, sent.Mine) is { } expected
                && CanonicalJson.Equal(expected, version.Definition);

        static void Line(string name, string value) => Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-42} {value}"));
    }

    async Task EditAsync(WorkflowRepository workflows, Id<Workflow> id, int editor, CancellationToken stop)
    {
        var edits = new RandomEdits(options.Seed * 1000 + editor);
        var (number, definition) = await ReadAsync();
        while (Interlocked.Increment(ref saves) is var save && save <= options.Count)
        {
            for (; ; )
            {
                var mine = Signed(edits.Edit(definition, 1 + (save % 2)), editor, save);
                try
                {
                    var saved = await workflows.UpdateAsync(id, mine, number, cancellationToken: stop);
                    if (!acknowledged.TryAdd(saved.Version, (number, mine)))
                        Interlocked.Increment(ref twice);
                    if (saved.Merged)
                        Interlocked.Increment(ref merged);
                    (number, definition) = (saved.Version, saved.Merged ? saved.Definition : mine);
                    break;
                }
                catch (VersionConflictException)
                {
                    Interlocked.Increment(ref conflicts);
                    (number, definition) = await ReadAsync();
                }
            }
        }

        async Task<(int, JsonElement)> ReadAsync()
        {
            var version = (await workflows.FindVersionAsync(id, number: null, stop))!;
            return (version.Number, version.Definition);
        }
    }

    /// <summary>With a field of the editor's own, so that no save is of what is there already.</summary>
    static JsonElement Signed(JsonElement definition, int editor, int save)
    {
        var signed = JsonNode.Parse(definition.GetRawText(), documentOptions: new() { MaxDepth = 250 })!;
        signed[$"editor{editor}"] = save;
        return JsonElement.Parse(signed.ToJsonString());
    }
}
