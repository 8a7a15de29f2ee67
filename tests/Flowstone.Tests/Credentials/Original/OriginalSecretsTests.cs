using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Credentials.Original;

namespace Flowstone.Tests.Credentials.Original;

public sealed class OriginalSecretsTests
{
    internal const string OfFirst = "2df99ad9e55fa4d4fb5fef5a4ece811e:0d2fbbd96d7e42521c0e33f7a0f65282:81bbe518884cbf5c68f2310041ca77d590dd0209db82";
    internal const string OfSecond = "v1:48f66b62d66f427daedf97f9d4637878:70d24d66c41a8375ad293300b1e5a3deb9470804103b:9c96c7d058fd9c22eee616bc38f158a7";

    // Made with Node's crypto.
    [Theory]
    [InlineData("short", null, """{"apiKey":"sk_live_1"}""", OfFirst)]
    [InlineData("0123456789abcdef0123456789abcdef and möre", null, "{}", "1a7c2a6ec21506216d3af3943f9d1ab6:7edbbe76531bb3a6e721a1a4972be663:5589")]
    [InlineData("flowstone-key-of-32-characters-!", null, """{"password":"äöü 漢字 🔑","n":[1.50,null]}""",
        "55e2dddecfe3ec152170ae83a85e9caa:a539daec9c26540290b5add4b4db25ec:28d68c3712eb65e648a22819f6cdf5327a13a6cf62f328980920b003729fe07393a66b72d4d70090ebb453643b505bd76b")]
    [InlineData("short", null, """{"apiKey":"sk_live_1"}""", OfSecond)]
    [InlineData("a key much longer than the thirty-two bytes of AES, mit Umläuten 🔑", null, "{}", "v1:52282795a66706f7dd0d411f:d9c8:1860b4183757b46c4607314804562aab")]
    [InlineData("short", "another salt", """{"password":"äöü 漢字 🔑"}""",
        "v1:2c5236ab2a515d787fc839a63f7d21a7:c533189d4bd4898d6a9878c91f80ee13bd509d439ffef09441109a9ecdbb3ee9d8:f508f706971f9a241b35def16a5268ee")]
    public void Secrets_of_the_original_open(string key, string? salt, string secret, string value)
        => Assert.Equal(secret, OriginalSecrets.Open(value, key, salt).GetRawText());

    [Fact]
    public async Task Whatever_Node_seals_opens_as_it_was()
    {
        const string Script = """
            const c = require('crypto');
            const seal = (key, iv, text) => {
                const aes = c.createCipheriv('aes-256-gcm', key, iv);
                const cipher = Buffer.concat([aes.update(text, 'utf8'), aes.final()]);
                return [iv, cipher, aes.getAuthTag()].map(b => b.toString('hex'));
            };
            const secrets = [{}, { apiKey: 'sk_live_1' }, { 'schlüssel 🔑': '漢字 \u0000 "\\' , deep: [1.5, null, { a: [] }] }, { large: 'ä'.repeat(30000) }, { large: 'x'.repeat(60001) }];
            const keys = ['', 'exactly-thirty-two-bytes-of-key!', 'k'.repeat(32) + 'ü🔑', 'schlüssel 🔑'];
            const sealed = [];
            for (const key of keys) {
                const scrypted = c.scryptSync(key, 'salt', 32);
                for (const secret of secrets) {
                    const text = JSON.stringify(secret), add = value => sealed.push({ key, text, value });
                    try {
                        const [iv, cipher, tag] = seal(Buffer.from(key.padEnd(32, '0').slice(0, 32)), c.randomBytes(16), text);
                        add(`${iv}:${tag}:${cipher}`);
                    } catch (error) {
                        if (error.code !== 'ERR_CRYPTO_INVALID_KEYLEN') throw error;
                    }
                    for (const length of [12, 16])
                        add(['v1', ...seal(scrypted, c.randomBytes(length), text)].join(':'));
                }
            }
            console.log(JSON.stringify(sealed));
            """;
        var sealedByNode = JsonSerializer.Deserialize<SealedByNode[]>(await NodeAsync(Script), JsonSerializerOptions.Web)!;

        Assert.Equal((3 * 5) + (4 * 5 * 2), sealedByNode.Length);   // the last key has no first layout
        foreach (var ofKey in sealedByNode.GroupBy(s => s.Key))
        {
            using var secrets = new OriginalSecrets(ofKey.Key);
            foreach (var one in ofKey)
                Assert.Equal(one.Text, secrets.Open(one.Value).GetRawText());
        }
    }

    [Theory]
    [InlineData(OfFirst)]
    [InlineData(OfSecond)]
    public void A_value_that_was_changed_in_any_digit_or_cut_anywhere_is_refused(string value)
    {
        using var secrets = new OriginalSecrets("short");
        Assert.Equal("sk_live_1", secrets.Open(value).GetProperty("apiKey").GetString());
        for (var i = value.StartsWith("v1:", StringComparison.Ordinal) ? 3 : 0; i < value.Length; i++)
        {
            if (value[i] != ':')
                Refused(secrets, value[..i] + (value[i] == '0' ? '1' : '0') + value[(i + 1)..]);
            Refused(secrets, value[..i]);
            Refused(secrets, value.Remove(i, 1));
            Refused(secrets, value.Insert(i, "0"));
        }
    }

    [Theory]
    [InlineData("", "neither")]
    [InlineData("sk_live_1", "neither")]
    [InlineData("00:00", "neither")]
    [InlineData("v2:00:00:00", "neither")]
    [InlineData("::", "its IV has 0 bytes")]
    [InlineData("000000000000000000000000:00000000000000000000000000000000:00", "its IV has 12 bytes")]
    [InlineData("00000000000000000000000000000000:00000000:00", "its tag has 4 bytes")]
    [InlineData("00000000000000000000000000000000:00000000000000000000000000000000:000", "its cipher is not hexadecimal")]
    [InlineData("00000000000000000000000000000000:0000000000000000000000000000000g:00", "its tag is not hexadecimal")]
    [InlineData("00000000000000000000000000000000:00000000000000000000000000000000:", "it was changed, or sealed with another key")]
    [InlineData("v1", "has not four parts")]
    [InlineData("v1:00:00", "has not four parts")]
    [InlineData("v1:00:00:00:00", "has not four parts")]
    [InlineData("v1:0000000000000000:00:00000000000000000000000000000000", "its IV has 8 bytes")]
    [InlineData("v1:000000000000000000000000:00:000000000000000000000000", "its tag has 12 bytes")]
    [InlineData("v1:000000000000000000000000: 0:00000000000000000000000000000000", "its cipher is not hexadecimal")]
    public void What_is_wrong_with_a_value_is_said(string value, string why)
    {
        using var secrets = new OriginalSecrets("short");
        Assert.Contains(why, Refused(secrets, value), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_key_or_salt_opens_nothing_and_no_message_holds_the_content_or_a_key()
    {
        Assert.Contains("IV:tag:cipher", Refused(OfFirst, "shorter"), StringComparison.Ordinal);
        Assert.Contains("v1:IV:cipher:tag", Refused(OfSecond, "shorter"), StringComparison.Ordinal);
        Refused(OfSecond, "short", salt: "pepper");
        Refused(OfFirst, "schlüssel");
        Refused(OfFirst, new string('k', 31) + "🔑");   // cut between the halves of a pair
        Assert.Contains("not JSON", Refused("9c96f8c2aa9b4bd63f97b0c7ee3f4a92:d66f655328055f7bd5186b822cfaf815:b5d7e796528a4735", "short", content: "not json"), StringComparison.Ordinal);

        static string Refused(string value, string key, string? salt = null, string content = "sk_live")
        {
            var refused = Assert.Throws<CredentialSealException>(() => OriginalSecrets.Open(value, key, salt));
            Assert.Null(refused.InnerException);   // a parser's message would quote what it read
            foreach (var secret in (string[])[content, key[..5], value[^16..]])
                Assert.DoesNotContain(secret, refused.ToString(), StringComparison.Ordinal);
            return refused.Message;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(1000)]
    public void With_a_nonce_of_12_bytes_it_is_what_the_platform_seals(int length)
    {
        var (key, nonce, text) = (RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(12), RandomNumberGenerator.GetBytes(length));
        var (cipher, tag) = (new byte[length], new byte[16]);
        using var aes = new AesGcm(key, tag.Length);
        aes.Encrypt(nonce, text, cipher, tag);

        Assert.Equal(text, AnyNonceGcm.Open(key, nonce, cipher, tag));
    }

    // RFC 7914, section 12, but for the one that takes a gigabyte.
    [Theory]
    [InlineData("", "", 16, 1, 1, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906")]
    [InlineData("password", "NaCl", 1024, 8, 16, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640")]
    [InlineData("pleaseletmein", "SodiumChloride", 16384, 8, 1, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")]
    public void Scrypt_is_that_of_its_RFC(string password, string salt, int cost, int blocks, int lanes, string key)
        => Assert.Equal(key, Convert.ToHexStringLower(Scrypt.Derive(Encoding.UTF8.GetBytes(password), Encoding.UTF8.GetBytes(salt), cost, blocks, lanes, 64)));

    static string Refused(OriginalSecrets secrets, string value)
    {
        var message = Assert.Throws<CredentialSealException>(() => secrets.Open(value)).Message;
        Assert.DoesNotContain("short", message, StringComparison.Ordinal);
        return message;
    }

    internal static async Task<string> NodeAsync(string script)
    {
        var start = new ProcessStartInfo("node", ["-e", script]) { RedirectStandardOutput = true };
        Process? node = null;
        try
        {
            node = Process.Start(start);
        }
        catch (Win32Exception)
        {
            Assert.Skip("Node is not installed: sudo apt-get install nodejs");
        }
        using (node)
        {
            var output = await node!.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await node.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(0, node.ExitCode);
            return output;
        }
    }

    sealed record SealedByNode(string Key, string Text, string Value);
}
