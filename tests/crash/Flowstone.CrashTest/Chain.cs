using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Flowstone.CrashTest;

/// <summary>The workflow of the campaign: 20 nodes in a row, each making its value of the one before. A value that was lost or made twice is seen in all that follow.</summary>
static class Chain
{
    public const int Nodes = 20;

    public static string NodeId(int node) => $"n{node}";

    public static JsonElement Definition() => JsonSerializer.SerializeToElement(new
    {
        name = "Chain",
        nodes = Enumerable.Range(0, Nodes).Select(i => new { id = NodeId(i), name = $"Node {i}", type = "crash.node" }),
        edges = Enumerable.Range(1, Nodes - 1).Select(i => new { source = NodeId(i - 1), output = "main", outputIndex = 0, target = NodeId(i), input = "main", inputIndex = 0 }),
    });

    public static string First(int ordinal) => Hash($"execution {ordinal}");

    /// <summary>Every fifth is so long that it needs a row of its own in the database.</summary>
    public static string Next(string value, int node) => Hash($"{value} {node}") + (node % 5 == 4 ? new string('x', 300) : "");

    public static string Last(int ordinal) => Enumerable.Range(0, Nodes).Aggregate(First(ordinal), Next);

    static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
}
