using System.Text.Json;

namespace Flowstone.Cli.Simulation;

/// <summary>
/// What decides a simulated execution. It is the first field of the execution's input, so whoever claims it, in whatever process, does
/// the same; and an execution without it is somebody's own, which a simulation must never run.
/// </summary>
/// <param name="Session">One start of the program: equal seeds of two sessions are not the same execution.</param>
/// <param name="Ordinal">Which of the session's executions, from 0.</param>
/// <param name="FailureRate">Of a try of a node, 0 to 1.</param>
/// <param name="MaxAttempts">Tries of a node until the execution fails.</param>
sealed record SimulatedRun(string Session, long Seed, int Ordinal, double FailureRate, int MaxAttempts)
{
    const string Name = "simulation";
    const int OfInput = 0x1001, OfBodies = 0x1002;

    /// <summary>Not of the session: the same seed makes the same load.</summary>
    public ulong Key => Mix.Key(new Mix((ulong)Seed).Next(), Ordinal);

    /// <summary>The execution's input. Dispose it to give its buffer back.</summary>
    public SampleBody Input()
        => SampleBody.Create(Mix.Key(Key, OfInput), FormattableString.Invariant(
            $$"""
            "{{Name}}":{"session":"{{Session}}","seed":{{Seed}},"ordinal":{{Ordinal}},"failureRate":{{FailureRate:R}},"maxAttempts":{{MaxAttempts}}},
            """));

    /// <summary>What a visit puts out.</summary>
    public SampleBody Output(Visit visit) => SampleBody.Create(Mix.Key(Mix.Key(Key, OfBodies), visit.Node, visit.Iteration), "");

    /// <summary>Null if it is not the input of a simulated execution.</summary>
    public static SimulatedRun? Read(ReadOnlySpan<byte> input)
    {
        var reader = new Utf8JsonReader(input, isFinalBlock: true, default);
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject
                || !reader.Read() || reader.TokenType != JsonTokenType.PropertyName || !reader.ValueTextEquals(Name)
                || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return null;
            var said = JsonElement.ParseValue(ref reader);
            return new SimulatedRun(said.GetProperty("session").GetString()!, said.GetProperty("seed").GetInt64(), said.GetProperty("ordinal").GetInt32(),
                said.GetProperty("failureRate").GetDouble(), said.GetProperty("maxAttempts").GetInt32());
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
