namespace Flowstone.Workflows.N8n;

/// <summary>How connections name nodes: by name, or, in what other tools export, by id. Of several nodes with one name, the first.</summary>
sealed class N8nReferences
{
    readonly IReadOnlyList<(string Id, string Name)> nodes;
    readonly Dictionary<string, int> byName, byId;

    public N8nReferences(IReadOnlyList<(string Id, string Name)> nodes)
    {
        this.nodes = nodes;
        byName = new Dictionary<string, int>(nodes.Count, StringComparer.Ordinal);
        byId = new Dictionary<string, int>(nodes.Count, StringComparer.Ordinal);
        for (var ordinal = 0; ordinal < nodes.Count; ordinal++)
        {
            byName.TryAdd(nodes[ordinal].Name, ordinal);
            byId.TryAdd(nodes[ordinal].Id, ordinal);
        }
    }

    /// <summary>The ordinal of the node that is meant; null if there is none.</summary>
    public int? Resolve(string reference)
        => byName.TryGetValue(reference, out var ordinal) || byId.TryGetValue(reference, out ordinal) ? ordinal : null;

    public string IdOf(int ordinal) => nodes[ordinal].Id;

    /// <summary>What to call a node: its name, unless that means another node.</summary>
    public string To(int ordinal)
    {
        var (id, name) = nodes[ordinal];
        return byName[name] == ordinal || Resolve(id) != ordinal ? name : id;
    }
}
