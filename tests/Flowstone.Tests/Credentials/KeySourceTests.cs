using System.Text;
using Flowstone.Credentials;
using Flowstone.Tenancy;

namespace Flowstone.Tests.Credentials;

public sealed class KeySourceTests : IDisposable
{
    readonly string folder = Directory.CreateTempSubdirectory("flowstone-keys-").FullName;

    string File => Path.Combine(folder, "master.key");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    // Made with another implementation (Node's crypto), so that the format is what it says.
    [Fact]
    public async Task A_wrapped_key_is_what_another_implementation_makes_of_it()
    {
        var ring = new LocalKeyRing([new LocalKey([.. Enumerable.Range(0, 32).Select(i => (byte)i)])]);
        var place = new DataKeyPlace(Id<Tenant>.Parse("0199d1b0-0000-7000-8000-000000000001"), Id<DataKey>.Parse("0199d1b0-0000-7000-8000-0000000000aa"));
        var wrapped = Convert.FromHexString("016465666768696a6b6c6d6e6fd7239e43916a52c573fabf2798aa8d4d860e23da040b0d0c8c3bd544bcbb0088da1ddb41a9438e8b35d02f9863d45333");

        Assert.Equal("ce0dd379e7b5dc05", await ring.CurrentIdAsync());
        Assert.Equal(Enumerable.Range(7, 32).Select(i => (byte)i), await ring.UnwrapAsync("ce0dd379e7b5dc05", place, wrapped));
    }

    [Fact]
    public async Task A_wrapped_key_opens_with_its_master_and_at_its_place_only()
    {
        var clock = new ManualClock();
        var (old, current) = (TestKeys.New(), TestKeys.New());
        var (before, both) = (new LocalKeyRing([old]), new LocalKeyRing([current, old]));
        var place = new DataKeyPlace(Id<Tenant>.New(clock), Id<DataKey>.New(clock));
        var wrapped = await before.WrapAsync(place, new byte[32]);

        Assert.Equal(new byte[32], await both.UnwrapAsync(old.Id, place, wrapped));
        Assert.Equal((current.Id, true, false), (await both.CurrentIdAsync(), both.Has(old.Id), before.Has(current.Id)));
        await Assert.ThrowsAsync<CredentialSealException>(async () => await both.UnwrapAsync(current.Id, place, wrapped));
        await Assert.ThrowsAsync<CredentialSealException>(async () => await both.UnwrapAsync(old.Id, place with { TenantId = Id<Tenant>.New(clock) }, wrapped));
        await Assert.ThrowsAsync<CredentialSealException>(async () => await both.UnwrapAsync(old.Id, place with { Id = Id<DataKey>.New(clock) }, wrapped));
        for (var i = 0; i < wrapped.Length; i++)
        {
            wrapped[i] ^= 1;
            await Assert.ThrowsAsync<CredentialSealException>(async () => await both.UnwrapAsync(old.Id, place, wrapped));
            await Assert.ThrowsAsync<CredentialSealException>(async () => await both.UnwrapAsync(old.Id, place, wrapped.AsMemory(0, i)));
            wrapped[i] ^= 1;
        }
        var missing = await Assert.ThrowsAsync<UnavailableException>(async () => await before.UnwrapAsync(current.Id, place, wrapped));
        Assert.Contains(current.Id, missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_file_has_the_current_key_first_then_older_ones_and_comments()
    {
        var (first, second) = (Base64(), Base64());
        Write($"# made today\n\n{first}   # current\r\n{second}\n{first}\n");
        var ring = Assert.IsType<LocalKeyRing>(KeySource.Of(new() { KeyFile = File }));

        Assert.Equal(2, ring.Keys.Count);
        Assert.Equal(LocalKey.Parse("test", first).Id, await ring.CurrentIdAsync());
        var same = Assert.IsType<LocalKeyRing>(KeySource.Of(new() { MasterKey = first, OldMasterKeys = $"{second}, {Base64()}" }));
        Assert.Equal((ring.Keys[0].Id, ring.Keys[1].Id, 3), (same.Keys[0].Id, same.Keys[1].Id, same.Keys.Count));
        Assert.Null(KeySource.Of(new()));
    }

    [Fact]
    public async Task A_key_of_the_other_kind_opens_what_it_wrapped_until_all_is_wrapped_anew()
    {
        await using var kms = await KmsServer.StartAsync();
        var (local, place) = (new LocalKeyRing([TestKeys.New()]), new DataKeyPlace(Id<Tenant>.New(new ManualClock()), Id<DataKey>.New(new ManualClock())));
        using var remote = new KmsKeyRing(KmsServer.Arn(1), kms.Config);
        var (byLocal, byKms) = (await local.WrapAsync(place, new byte[32]), await remote.WrapAsync(place, new byte[32]));

        foreach (var (ring, current) in new[] { (new KeyRings(remote, local), KmsServer.Arn(1)), (new KeyRings(local, remote), local.Current.Id) })
        {
            Assert.Equal(current, await ring.CurrentIdAsync());
            Assert.True(ring.Has(KmsServer.Arn(1)) && ring.Has(local.Current.Id) && !ring.Has("ce0dd379e7b5dc05"));
            Assert.Equal(new byte[32], await ring.UnwrapAsync(local.Current.Id, place, byLocal));
            Assert.Equal(new byte[32], await ring.UnwrapAsync(KmsServer.Arn(1), place, byKms));
            Assert.Equal(new byte[32], await ring.UnwrapAsync(current, place, await ring.WrapAsync(place, new byte[32])));
        }
        Assert.IsType<KeyRings>(KeySource.Of(new() { MasterKey = TestKeys.Text, OldMasterKeys = KmsServer.Arn(1) }));
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.OtherWrite)]
    [InlineData(UnixFileMode.UserExecute)]
    public void A_key_file_that_is_open_to_others_is_refused_with_the_mend(UnixFileMode more)
    {
        Write(Base64());
        System.IO.File.SetUnixFileMode(File, UnixFileMode.UserRead);
        Assert.NotNull(KeySource.Of(new() { KeyFile = File }));

        System.IO.File.SetUnixFileMode(File, UnixFileMode.UserRead | UnixFileMode.UserWrite | more);
        Assert.Contains($"chmod 600 {File}", Refusal(new() { KeyFile = File }), StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Weak => new()
    {
        { "c2hvcnQ=", "32 bytes in base64" },
        { "not base64 at all!", "32 bytes in base64" },
        { Convert.ToBase64String(new byte[33]), "32 bytes in base64" },
        { Convert.ToBase64String(new byte[32]), "the same byte" },
        { Convert.ToBase64String([.. Enumerable.Range(0, 32).Select(i => (byte)(i % 16 * 37))]), "a pattern of 16 bytes" },
        { Convert.ToBase64String([.. Enumerable.Range(0, 32).Select(i => (byte)(i % 5))]), "a pattern of 5 bytes" },
        { Convert.ToBase64String([.. Enumerable.Range(0, 32).Select(i => (byte)(250 + i))]), "counted" },
        { Convert.ToBase64String("my-secret-encryption-key00000000"u8), "a text" },
        { Convert.ToBase64String("default-key-do-not-use-in-public"u8), "a text" },
        { Convert.ToBase64String([.. Enumerable.Range(0, 32).Select(i => (byte)(i * i % 17 * 15))]), "less than 16 different bytes" },
    };

    [Theory, MemberData(nameof(Weak))]
    public void A_key_that_can_be_guessed_is_refused_with_the_mend_and_never_shown(string text, string why)
    {
        Write($"# a key\n{text}\n");
        foreach (var (options, setting) in new[] { (new FlowstoneOptions { MasterKey = text }, "FLOWSTONE_MASTER_KEY"), (new() { KeyFile = File }, "FLOWSTONE_KEY_FILE: line 2"), (new() { MasterKey = TestKeys.Text, OldMasterKeys = text }, "FLOWSTONE_OLD_MASTER_KEYS") })
        {
            var refusal = Refusal(options);
            foreach (var part in new[] { setting, why, "openssl rand -base64 32", "chmod 600", "loses the secrets" })
                Assert.Contains(part, refusal, StringComparison.Ordinal);
            Assert.DoesNotContain(text, refusal, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Random_keys_are_never_taken_for_weak()
    {
        for (var i = 0; i < 20_000; i++)
            Assert.Equal(16, LocalKey.Parse("test", Base64()).Id.Length);
    }

    [Fact]
    public void One_source_is_set_and_what_is_missing_is_named()
    {
        Assert.Contains("FLOWSTONE_KEY_FILE: set one", Refusal(new() { KeyFile = File, MasterKey = TestKeys.Text }), StringComparison.Ordinal);
        Assert.Contains("FLOWSTONE_MASTER_KEY: set one", Refusal(new() { KmsKey = "alias/x", MasterKey = TestKeys.Text }), StringComparison.Ordinal);
        Assert.Contains("FLOWSTONE_OLD_MASTER_KEYS", Refusal(new() { OldMasterKeys = TestKeys.Text }), StringComparison.Ordinal);
        Assert.Contains($"{File} is not there", Refusal(new() { KeyFile = File }), StringComparison.Ordinal);
        Assert.Contains("cannot be read", Refusal(new() { KeyFile = folder }), StringComparison.Ordinal);
        Assert.Contains("must be the ARN", Refusal(new() { KmsKey = "my key" }), StringComparison.Ordinal);
        Write("# nothing\n");
        Assert.Contains("holds no key", Refusal(new() { KeyFile = File }), StringComparison.Ordinal);
        Write(new string('#', 70_000));
        Assert.Contains("no key file", Refusal(new() { KeyFile = File }), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_file_is_made_once_whoever_comes_at_the_same_moment()
    {
        using var together = new Barrier(8);
        var made = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(() =>
        {
            together.SignalAndWait();
            return KeyFile.Create(File);
        }, TaskCreationOptions.LongRunning)));

        Assert.Single(made, won => won);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, System.IO.File.GetUnixFileMode(File));
        var id = Assert.Single(KeyFile.Read(File)).Id;
        Assert.False(KeyFile.Create(File));
        Assert.Equal(id, Assert.Single(KeyFile.Read(File)).Id);
        Assert.Equal([File], Directory.GetFiles(folder));
    }

    static string Base64() => Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));

    static string Refusal(FlowstoneOptions options) => Assert.Throws<InvalidInputException>(() => KeySource.Of(options)).Message;

    void Write(string text)
    {
        System.IO.File.Delete(File);
        using var file = new FileStream(File, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
        file.Write(Encoding.UTF8.GetBytes(text));
    }
}
