namespace Flowstone.Workflows.N8n;

/// <summary>The names of fields in <c>source</c>, where a definition remembers the document that it came from.</summary>
static class N8nFields
{
    public const string Format = "n8n";

    /// <summary>Fields that were not interpreted, under their own names.</summary>
    public const string Fields = "fields";

    /// <summary>The name that was given for want of one; while it stands, it is not exported.</summary>
    public const string FallbackName = "fallbackName";

    /// <summary>Tags that were objects.</summary>
    public const string Tags = "tags";

    /// <summary>Connections that edges alone do not make again.</summary>
    public const string Connections = "connections";

    /// <summary>Generated node ids, each with what stood there: <c>[]</c> for nothing, <c>[7]</c> for the number 7.</summary>
    public const string NodeIds = "nodeIds";

    /// <summary>Top-level fields of an n8n document that become something else in a definition.</summary>
    public static readonly IReadOnlySet<string> OfDocument
        = new HashSet<string>(StringComparer.Ordinal) { "name", "description", "tags", "nodes", "connections", "settings", "pinData" };

    /// <summary>Top-level fields of a definition that become something else in an n8n document.</summary>
    public static readonly IReadOnlySet<string> OfDefinition
        = new HashSet<string>(StringComparer.Ordinal) { "name", "description", "tags", "nodes", "edges", "settings", "pinnedData", "source" };
}
