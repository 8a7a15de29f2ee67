using System.Text.Json;

namespace Flowstone.Workflows.N8n;

/// <summary>Makes n8n's <c>connections</c> of edges.</summary>
static class N8nConnectionsWriter
{
    public static void WriteConnections(this Utf8JsonWriter writer, IReadOnlyList<WorkflowEdge> edges, N8nReferences nodes)
    {
        writer.WriteStartObject();
        foreach (var source in edges.GroupBy(edge => nodes.To(edge.Source), StringComparer.Ordinal))
        {
            writer.WriteStartObject(source.Key);
            foreach (var output in source.GroupBy(edge => edge.Output, StringComparer.Ordinal))
                WriteOutput(writer, output, nodes);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
    }

    /// <summary>Whether two lists mean the same: the order counts only among the edges of one output, where it is the order of execution.</summary>
    public static bool AreSame(IReadOnlyList<WorkflowEdge> left, IReadOnlyList<WorkflowEdge> right)
    {
        return left.Count == right.Count && ByOutput(left).SequenceEqual(ByOutput(right));

        static IEnumerable<WorkflowEdge> ByOutput(IEnumerable<WorkflowEdge> edges)
            => edges.OrderBy(edge => edge.Source).ThenBy(edge => edge.Output, StringComparer.Ordinal).ThenBy(edge => edge.OutputIndex);
    }

    static void WriteOutput(Utf8JsonWriter writer, IGrouping<string, WorkflowEdge> output, N8nReferences nodes)
    {
        writer.WriteStartArray(output.Key);
        var byIndex = output.ToLookup(edge => edge.OutputIndex);
        var count = output.Max(edge => edge.OutputIndex) + 1;
        for (var index = 0; index < count; index++)
        {
            writer.WriteStartArray();
            foreach (var edge in byIndex[index])
                WriteConnection(writer, edge, nodes);
            writer.WriteEndArray();
        }
        writer.WriteEndArray();
    }

    static void WriteConnection(Utf8JsonWriter writer, WorkflowEdge edge, N8nReferences nodes)
    {
        writer.WriteStartObject();
        writer.WriteString("node", nodes.To(edge.Target));
        writer.WriteString("type", edge.Input);
        writer.WriteNumber("index", edge.InputIndex);
        writer.WriteEndObject();
    }
}
