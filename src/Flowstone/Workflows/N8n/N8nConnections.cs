using System.Globalization;
using System.Text.Json;
using Flowstone.Data;
using static Flowstone.Workflows.WorkflowDefinition;

namespace Flowstone.Workflows.N8n;

/// <summary>
/// The edges in n8n's <c>connections</c>: <c>{ source: { output: [ [ { node, type, index } ] ] } }</c>. What is not of that shape, or names a
/// node that is not there, is counted for a warning.
/// </summary>
/// <remarks>
/// The order of the edges depends on the value alone, not on the order of the keys, which jsonb changes: an export reads the kept connections
/// again and must come to the same edges as the import did.
/// </remarks>
sealed class N8nConnections
{
    readonly N8nReferences nodes;
    readonly List<WorkflowEdge> edges = [];
    readonly HashSet<string> missingNodes = new(StringComparer.Ordinal);
    int dangling, odd;
    string? firstDangling, firstOdd;
    bool fromMissing, toMissing;

    N8nConnections(N8nReferences nodes) => this.nodes = nodes;

    public IReadOnlyList<WorkflowEdge> Edges => edges;

    /// <summary>Whether every connection became an edge.</summary>
    public bool AreAllEdges => dangling + odd == 0;

    public static N8nConnections Read(JsonElement connections, N8nReferences nodes)
    {
        var reading = new N8nConnections(nodes);
        var sources = connections.LastProperties()
            .Select(source => (source.Name, source.Value, Ordinal: nodes.Resolve(source.Name)))
            .OrderBy(source => source.Ordinal ?? int.MaxValue).ThenBy(source => source.Name, StringComparer.Ordinal);
        foreach (var (name, outputs, ordinal) in sources)
            reading.ReadSource(name, ordinal, outputs);
        return reading;
    }

    public IEnumerable<string> Warnings()
    {
        if (dangling > 0)
            yield return $"{Count(dangling, "connection")} {Direction} {Count(missingNodes.Count, "node")} that {(missingNodes.Count == 1 ? "is" : "are")} not there "
                + $"{(dangling == 1 ? "was kept but leads" : "were kept but lead")} nowhere; the first is {firstDangling}.";
        if (odd > 0)
            yield return $"{Count(odd, "part")} of the connections {(odd == 1 ? "has" : "have")} an unknown shape and {(odd == 1 ? "was" : "were")} kept "
                + $"without effect; the first is {firstOdd}.";
    }

    string Direction => !fromMissing ? "to" : !toMissing ? "from" : "from or to";

    static string Count(int count, string noun) => count.ToString("N0", CultureInfo.InvariantCulture) + " " + (count == 1 ? noun : noun + "s");

    void ReadSource(string name, int? source, JsonElement outputs)
    {
        if (outputs.ValueKind != JsonValueKind.Object)
        {
            Odd(() => PathOf(name));
            return;
        }
        foreach (var (output, lists) in outputs.LastProperties().OrderBy(output => output.Name, StringComparer.Ordinal))
        {
            if (lists.ValueKind != JsonValueKind.Array || output.Length > MaxNameLength)
                Odd(() => PathOf(name, output));
            else
                ReadOutput(name, source, output, lists);
        }
    }

    void ReadOutput(string name, int? source, string output, JsonElement lists)
    {
        var outputIndex = 0;
        foreach (var list in lists.EnumerateArray())
        {
            var index = outputIndex++;
            if (list.ValueKind == JsonValueKind.Null)   // n8n's own word for an output that leads nowhere.
                continue;
            if (list.ValueKind != JsonValueKind.Array || index > MaxConnectorIndex)
            {
                Odd(() => $"{PathOf(name, output)}[{index}]");
                continue;
            }
            var place = 0;
            foreach (var connection in list.EnumerateArray())
                ReadConnection(name, source, output, index, place++, connection);
        }
    }

    void ReadConnection(string name, int? source, string output, int outputIndex, int place, JsonElement connection)
    {
        // Absent, n8n takes the main connector and the first input; present and of another type, nobody knows.
        var input = connection.Find("type") is { } type ? type.Text : "main";
        var inputIndex = connection.Find("index") is { } index ? index.Index(MaxConnectorIndex) : 0;
        if (connection.FindText("node") is not { } reference || input is null or { Length: > MaxNameLength } || inputIndex is null)
        {
            Odd(Path);
            return;
        }

        var target = nodes.Resolve(reference);
        if (source is { } from && target is { } to)
        {
            edges.Add(new WorkflowEdge(from, output, outputIndex, to, input, inputIndex.Value));
            return;
        }
        dangling++;
        firstDangling ??= Path();
        if (source is null)
            fromMissing = missingNodes.Add(name) || fromMissing;
        if (target is null)
            toMissing = missingNodes.Add(reference) || toMissing;

        string Path() => $"{PathOf(name, output)}[{outputIndex}][{place}]";
    }

    void Odd(Func<string> path)
    {
        odd++;
        firstOdd ??= path();
    }

    static string PathOf(params ReadOnlySpan<string> keys)
    {
        var path = "connections";
        foreach (var key in keys)
            path = FieldErrors.Step(path, key);
        return path;
    }
}
