using System.Text;
using Flowstone.Credentials;
using Flowstone.Tenancy;
using FsCheck;
using FsCheck.Fluent;

namespace Flowstone.Tests.Credentials;

public sealed class SealTests
{
    static readonly Id<DataKey> keyId = Id<DataKey>.Parse("0199d1b0-0000-7000-8000-0000000000aa");
    static readonly SealedPlace place = new(Id<Tenant>.Parse("0199d1b0-0000-7000-8000-000000000001"), "credentials.secret", Guid.Parse("0199d1b0-0000-7000-8000-000000000002"));
    static readonly SealingKey key = new(keyId, [.. Enumerable.Range(0, 32).Select(i => (byte)i)]);
    static readonly byte[] secret = [.. Enumerable.Range(0, 1024).Select(i => (byte)(i * 7))];

    // Made with another implementation (Node's crypto), so that the format is what it says.
    [Theory]
    [InlineData("hunter2", "credentials.secret", "010199d1b00000700080000000000000aa6465666768696a6b6c6d6e6f206eb0121c9b6433f33aef4660f8a5325c75a49bef3120")]
    [InlineData("", "webhooks.secret", "010199d1b00000700080000000000000aa6465666768696a6b6c6d6e6f1579fdb45c179cb5f1ee8ea8f8cdbf53")]
    public void Sealed_values_are_what_another_implementation_makes_of_them(string text, string column, string hex)
    {
        var there = place with { Column = column };
        var value = Seal.Close(key, there, Encoding.UTF8.GetBytes(text), [.. Enumerable.Range(100, 12).Select(i => (byte)i)]);

        Assert.Equal(hex, Convert.ToHexStringLower(value));
        Assert.Equal(keyId, Seal.KeyOf(there, value));
        Assert.Equal(text, Encoding.UTF8.GetString(Seal.Open(key, there, value)));
    }

    [Fact]
    public void What_is_sealed_opens_at_its_place_and_is_never_sealed_alike()
        => Check.One(Config.QuickThrowOnFailure.WithMaxTest(300), Prop.ForAll(
            ArbMap.Default.GeneratorFor<byte[]>().Zip(ArbMap.Default.GeneratorFor<Guid>()).Zip(ArbMap.Default.GeneratorFor<Guid>()).ToArbitrary(), given =>
            {
                var ((content, tenant), row) = given;
                var there = new SealedPlace(new(tenant), "table.column", row);
                var value = Seal.Close(key, there, content);
                return Seal.Open(key, there, value).AsSpan().SequenceEqual(content) && value.Length == content.Length + Seal.Overhead && !value.AsSpan().SequenceEqual(Seal.Close(key, there, content));
            }));

    [Fact]
    public void A_value_in_which_any_single_bit_is_flipped_does_not_open()
    {
        var value = Seal.Close(key, place, secret);
        for (var bit = 0; bit < value.Length * 8; bit++)
        {
            value[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Throws<CredentialSealException>(() => Seal.Open(key, place, value));
            value[bit / 8] ^= (byte)(1 << (bit % 8));
        }
        Assert.Equal(secret, Seal.Open(key, place, value));
    }

    [Fact]
    public void A_value_that_was_cut_or_prolonged_does_not_open()
    {
        var value = Seal.Close(key, place, secret);
        for (var length = 0; length < value.Length; length++)
            Assert.Throws<CredentialSealException>(() => Seal.Open(key, place, value.AsSpan(0, length)));
        Assert.Throws<CredentialSealException>(() => Seal.Open(key, place, [.. value, 0]));
    }

    [Fact]
    public void A_value_of_another_row_column_tenant_or_key_does_not_open()
    {
        var clock = new ManualClock();
        var value = Seal.Close(key, place, secret);
        foreach (var elsewhere in new[]
        {
            place with { RowId = Id<Tenant>.New(clock).Value }, place with { TenantId = Id<Tenant>.New(clock) },
            place with { Column = "credentials.secreT" }, place with { Column = "credentials.secret2" }, place with { Column = "" },
            new SealedPlace(new(place.RowId), place.Column, place.TenantId.Value),
        })
            Assert.Throws<CredentialSealException>(() => Seal.Open(key, elsewhere, value));
        using var other = new SealingKey(Id<DataKey>.New(clock), new byte[32]);
        Assert.Throws<CredentialSealException>(() => Seal.Open(other, place, value));
        using var sameName = new SealingKey(keyId, new byte[32]);
        Assert.Throws<CredentialSealException>(() => Seal.Open(sameName, place, value));
    }

    [Fact]
    public async Task No_nonce_comes_twice()
    {
        var drawn = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Enumerable.Range(0, 5_000).Select(_ =>
        {
            Span<byte> nonce = stackalloc byte[Seal.NonceLength];
            Nonces.Fill(nonce);
            return Convert.ToHexString(nonce);
        }).ToList())));
        Assert.Equal(20_000, drawn.SelectMany(nonces => nonces).Distinct().Count());
        foreach (var position in Enumerable.Range(0, Seal.NonceLength))   // each byte takes all values
            Assert.Equal(256, drawn.SelectMany(nonces => nonces).Select(nonce => nonce.Substring(position * 2, 2)).Distinct().Count());
    }

    [Fact]
    public void A_refusal_names_place_and_key_and_nothing_of_the_content()
    {
        var text = "correct horse battery staple"u8;
        var value = Seal.Close(key, place, text);
        value[^1] ^= 1;
        var broken = Assert.Throws<CredentialSealException>(() => Seal.Open(key, place, value));
        foreach (var part in new[] { "credentials.secret", $"{place.RowId}", $"{place.TenantId}", $"{keyId}" })
            Assert.Contains(part, broken.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("horse", broken.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToHexStringLower(value.AsSpan(Seal.HeaderLength, 8)), broken.ToString(), StringComparison.OrdinalIgnoreCase);

        value[0] = 2;
        Assert.Contains("the format 2", Assert.Throws<CredentialSealException>(() => Seal.Open(key, place, value)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Seal.Close(key, place with { Column = new string('c', 129) }, secret));
    }

    [Fact]
    public void Sealing_and_opening_allocate_no_more_than_three_objects_beyond_the_result()
    {
        var value = Seal.Close(key, place, secret);
        Seal.Open(key, place, value);   // what is made once is made now
        var empty = GC.GetAllocatedBytesForCurrentThread();
        var result = new byte[value.Length];
        var ofResult = GC.GetAllocatedBytesForCurrentThread() - empty;

        var before = GC.GetAllocatedBytesForCurrentThread();
        var again = Seal.Close(key, place, secret);
        var sealing = GC.GetAllocatedBytesForCurrentThread() - before;
        before = GC.GetAllocatedBytesForCurrentThread();
        var opened = Seal.Open(key, place, again);
        var opening = GC.GetAllocatedBytesForCurrentThread() - before;

        // No object is smaller than 24 bytes: less than that beyond the result is none.
        Assert.InRange(sealing - ofResult, 0, 23);
        Assert.InRange(opening - (ofResult - Seal.Overhead), -7, 23);
        Assert.Equal((result.Length, secret.Length), (again.Length, opened.Length));
    }

    [Fact]
    public async Task One_key_serves_many_threads_and_is_wiped_when_the_last_is_done()
    {
        var bytes = Enumerable.Range(1, 32).Select(i => (byte)i).ToArray();
        var shared = new SealingKey(keyId, bytes);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            Assert.True(shared.TryHold());
            using (shared)
                for (var i = 0; i < 200; i++)
                    Assert.Equal(secret, Seal.Open(shared, place, Seal.Close(shared, place, secret)));
        })));

        Assert.True(shared.TryHold());
        shared.Dispose();
        Assert.Equal(1, bytes[0]);   // one still holds it
        shared.Dispose();
        Assert.All(bytes, b => Assert.Equal(0, b));
        Assert.False(shared.TryHold());
    }
}
