using FsCheck;
using FsCheck.Fluent;
using Flowstone.Executions;

namespace Flowstone.Tests.Executions.Search;

public sealed class AttributeValueTests
{
    static readonly Config Thorough = Config.QuickThrowOnFailure.WithMaxTest(5_000);

    static readonly Gen<double> Numbers = Gen.OneOf(
        ArbMap.Default.GeneratorFor<NormalFloat>().Select(f => f.Get).Where(d => Math.Abs(d) <= 1L << 53 || !double.IsInteger(d)),
        Gen.Choose(-1000, 1000).Select(i => (double)i),
        Gen.Elements(0.0, -0.0, double.Epsilon, -double.Epsilon, 1L << 53, -(1L << 53), 0.1, -0.1));

    [Fact]
    public void Numbers_sort_as_their_bytes_do_and_come_back()
        => Check.One(Thorough, Prop.ForAll(Numbers.Two().ToArbitrary(), pair =>
            Sign(pair.Item1.CompareTo(pair.Item2 + 0.0), pair.Item1 == pair.Item2) == Compare(pair.Item1, pair.Item2) && BackAndForth(pair.Item1)));

    [Fact]
    public void Times_sort_as_their_bytes_do_and_come_back()
        => Check.One(Thorough, Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).Two().Select(pair => DateTimeOffset.UnixEpoch.AddSeconds(pair.Item1).AddMicroseconds(pair.Item2)).Two().ToArbitrary(),
            pair => Math.Sign(pair.Item1.CompareTo(pair.Item2)) == Compare(pair.Item1, pair.Item2) && BackAndForth(pair.Item1)));

    [Fact]
    public void Texts_sort_by_code_point_and_come_back()
        => Check.One(Thorough, Prop.ForAll(Gen.Choose(1, 0x2FFFF).Where(c => c is < 0xD800 or > 0xDFFF).Select(char.ConvertFromUtf32).ListOf(4).Select(string.Concat).Two().ToArbitrary(),
            pair => Math.Sign(CompareRunes(pair.Item1, pair.Item2)) == Compare(pair.Item1, pair.Item2) && BackAndForth(pair.Item1)));

    [Fact]
    public void What_cannot_be_kept_is_refused()
    {
        Assert.Throws<InvalidInputException>(() => (AttributeValue)double.NaN);
        Assert.Throws<InvalidInputException>(() => (AttributeValue)9007199254740994.0);
        Assert.Throws<InvalidInputException>(() => ((AttributeValue)new string('x', 256)).Encode());
        Assert.Throws<InvalidInputException>(() => ((AttributeValue)"\0").Encode());
        Assert.True(Compare(false, true) < 0);
        Assert.True(BackAndForth(true));
        Assert.Equal(0, Compare(0.0, -0.0));
    }

    static int Sign(int order, bool equal) => equal ? 0 : Math.Sign(order);

    static int Compare(AttributeValue a, AttributeValue b) => Math.Sign(a.Encode().AsSpan().SequenceCompareTo(b.Encode()));

    static bool BackAndForth(AttributeValue value) => AttributeValue.Decode(value.Encode()) == value;

    static int CompareRunes(string a, string b)
    {
        var (left, right) = (a.EnumerateRunes().Select(r => r.Value).ToArray(), b.EnumerateRunes().Select(r => r.Value).ToArray());
        return left.AsSpan().SequenceCompareTo(right);
    }
}
