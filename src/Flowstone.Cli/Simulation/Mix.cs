namespace Flowstone.Cli.Simulation;

/// <summary>
/// Decisions that depend on names, not on order: whoever asks for (seed, execution, node, iteration) gets the same answer, in any process.
/// SplitMix64: https://prng.di.unimi.it/splitmix64.c.
/// </summary>
struct Mix(ulong state)
{
    const ulong Gamma = 0x9E3779B97F4A7C15;

    ulong state = state;

    /// <summary>A key for a part of what <paramref name="key"/> names.</summary>
    public static ulong Key(ulong key, int part) => Scramble(key + (Gamma * ((uint)part + 1UL)));

    public static ulong Key(ulong key, int part, int detail) => Key(Key(key, part), detail);

    public ulong Next() => Scramble(state += Gamma);

    /// <summary>0 to <paramref name="count"/> - 1.</summary>
    public int Next(int count) => (int)Math.BigMul(Next(), (ulong)count, out _);

    /// <summary>From 0, below 1.</summary>
    public double Fraction() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Normally distributed, mean 0, deviation 1 (Box and Muller).</summary>
    public double Normal() => Math.Sqrt(-2 * Math.Log(1 - Fraction())) * Math.Cos(2 * Math.PI * Fraction());

    static ulong Scramble(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
