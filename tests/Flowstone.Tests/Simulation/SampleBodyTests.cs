using System.Text.Json;
using Flowstone.Cli.Simulation;

namespace Flowstone.Tests.Simulation;

public sealed class SampleBodyTests
{
    [Fact]
    public void Sizes_are_as_promised_and_every_body_is_json()
    {
        var sizes = new int[20_000];
        for (var i = 0; i < sizes.Length; i++)
        {
            using var body = SampleBody.Create(Mix.Key(1, i), "");
            sizes[i] = body.Payload.Bytes.Length;
            if (i % 10 == 0)
                JsonDocument.Parse(body.Payload.Bytes).Dispose();
        }

        Array.Sort(sizes);
        Assert.InRange(sizes[sizes.Length / 2], 2048 * 0.9, 2048 * 1.1);
        Assert.InRange(sizes.Count(s => s > 100 * 1024) / (double)sizes.Length, 0.005, 0.015);
        Assert.InRange(sizes[^1], 100 * 1024, 1024 * 1024);
    }

    [Fact]
    public void The_same_key_makes_the_same_bytes()
    {
        using var one = SampleBody.Create(42, "");
        using var same = SampleBody.Create(42, "");
        using var other = SampleBody.Create(43, "");
        Assert.Equal(one.Payload.Hash, same.Payload.Hash);
        Assert.NotEqual(one.Payload.Hash, other.Payload.Hash);
    }

    [Fact]
    public void An_input_says_what_decides_the_execution_and_no_other_document_does()
    {
        var run = new SimulatedRun("abc", -5, 12, 0.125, 4);
        using var input = run.Input();
        Assert.Equal(run, SimulatedRun.Read(input.Payload.Bytes.Span));
        foreach (var document in new[] { "", "[]", "{}", "{\"simulation\":1}", "{\"simulation\":{}}", "{\"simulation\":{\"seed\":\"x\"}}", "{\"order\":{\"seed\":1}}", "nonsense" })
            Assert.Null(SimulatedRun.Read(System.Text.Encoding.UTF8.GetBytes(document)));
    }
}
