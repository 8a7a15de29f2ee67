using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;

namespace Flowstone.Tests.Workflows.N8n;

/// <summary>
/// Generates n8n documents as no sane tool writes them, as JSON text: so that duplicate keys, spellings of numbers and escapes are met too.
/// </summary>
static class OddN8nDocuments
{
    // Few names, so that they collide: with each other, with ids, with the names of fields.
    static readonly Gen<string> Word = Gen.Frequency(
        (6, Gen.Elements("A", "B", "id-1", "id-2", "", " ", "main", "node", "source", "__proto__", "a.b['c']", "日本語", "🦆", "e\u0301", "\u0001\"\\/\u2028")),
        (1, from characters in Gen.ArrayOf(Gen.Elements('a', 'Z', '7', ' ', 'ß', '\t', '\uFFFD', '\uE000')) select new string(characters.AsSpan(0, Math.Min(characters.Length, 30)))));

    // What nodes are mostly called, so that connections find them.
    static readonly Gen<string> Reference = Gen.Frequency((5, Gen.Elements("A", "B", "id-0", "id-1")), (1, Word));

    static readonly Gen<string> Text = Word.Select(Quote);

    static readonly Gen<string> Number = Gen.Elements(
        "0", "-0", "1", "1.0", "1e0", "10e-1", "2", "2E+0", "-1", "0.5", "1e300", "1.50e1", "255", "256", "99999999999999999999.1", "0.00e2", "1E-30");

    static readonly Gen<string> Scalar = Gen.OneOf(Text, Number, Gen.Elements("null", "true", "false", "{}", "[]"));

    static readonly Gen<string> Anything = Gen.Frequency(
        (3, Scalar),
        (1, Array(Scalar)),
        (1, Object(Gen.Zip(Word, Scalar))),
        (1, Array(Object(Gen.Zip(Word, Array(Scalar))))));

    // Absent, odd, or (most often) a text, which is made unique once the node's place is known.
    static readonly Gen<(string, string)[]> Id = Gen.Frequency(
        (3, Gen.Constant<(string, string)[]>([("id", "text")])),
        (1, Gen.Constant<(string, string)[]>([])),
        (1, Gen.OneOf(Number, Gen.Elements("null", "{\"a\":1}", "\"\"")).Select(odd => new[] { ("id", odd) })));

    static readonly Gen<string> Node =
        from name in Reference
        from type in Gen.Elements("n8n-nodes-base.set", "n8n-nodes-base.if", "节点")
        from rest in Gen.ListOf(Gen.Zip(Gen.OneOf(Word, Gen.Elements("parameters", "disabled", "credentials")), Anything))
        from id in Id
        // After the rest, so that none of it overrides them.
        select ObjectOf([.. rest.Where(field => field.Item1 != "id"), ("name", Quote(name)), ("type", Quote(type)), .. id]);

    static readonly Gen<string> GoodConnection =
        from target in Reference
        from input in Gen.Elements("main", "ai_tool")
        from index in Gen.Elements("0", "1", "1.0", "1e0", "0e7")
        select ObjectOf([("node", Quote(target)), ("type", Quote(input)), ("index", index)]);

    static readonly Gen<string> Connection = Gen.Frequency(
        (5, GoodConnection),
        (1, Object(Gen.Zip(Gen.Elements("node", "type", "index", "extra"), Scalar))),
        (1, Anything));

    static readonly Gen<string> Connections = Gen.Frequency(
        (8, Object(Gen.Zip(Reference, Mostly(Object(Gen.Zip(Gen.Elements("main", "ai_tool", ""), Mostly(Array(Mostly(Array(Connection)))))))))),
        (1, Anything));

    static readonly Gen<string> Tags = Gen.OneOf(
        Array(Text), Array(Gen.OneOf(Text, from name in Word select ObjectOf([("id", "7"), ("name", Quote(name))]))), Anything);

    static readonly Gen<(string, string)> Field = Gen.OneOf(
        Gen.Zip(Gen.Elements("name", "description"), Gen.OneOf(Text, Anything)),
        Gen.Zip(Gen.Constant("connections"), Connections),
        Gen.Zip(Gen.Constant("tags"), Tags),
        Gen.Zip(Gen.Elements("settings", "pinData", "pinnedData", "edges", "source", "fields", "nodeIds", "id", "active", "meta", "nodes "), Anything),
        Gen.Zip(Word, Anything));

    /// <summary>Documents that an import must accept.</summary>
    public static readonly Gen<string> Documents =
        from before in Gen.ListOf(Field)
        from nodes in Gen.ListOf(Node)
        from connections in Gen.Frequency((3, Connections.Select(value => new[] { ("connections", value) })), (1, Gen.Constant<(string, string)[]>([])))
        from after in Gen.ListOf(Field)
        select ObjectOf([.. before, ("nodes", "[" + string.Join(",", nodes.Select((node, place) => node.Replace("\"id\":text", $"\"id\":\"id-{place}\""))) + "]"), .. connections, .. after]);

    static Gen<string> Mostly(Gen<string> usual) => Gen.Frequency((9, usual), (1, Scalar));

    static Gen<string> Array(Gen<string> item) => Some(item).Select(items => "[" + string.Join(" ,", items) + "]");

    static Gen<string> Object(Gen<(string, string)> property) => Some(property).Select(ObjectOf);

    // Few but seldom none: by nesting, lists as long as FsCheck likes them would be either empty or megabytes.
    static Gen<List<T>> Some<T>(Gen<T> item) => from count in Gen.Elements(0, 1, 1, 2, 2, 3) from items in item.ArrayOf(count) select items.ToList();

    static string ObjectOf(IReadOnlyList<(string Name, string Value)> properties)
        => "{" + string.Join(", ", properties.Select(property => Quote(property.Name) + ":" + property.Value)) + "}";

    static string Quote(string text) => JsonValue.Create(text).ToJsonString();
}
