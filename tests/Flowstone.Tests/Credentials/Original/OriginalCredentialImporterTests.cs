using Flowstone.Credentials;
using Flowstone.Credentials.Original;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tests.Credentials.Original;

public sealed class OriginalCredentialImporterTests(TestDatabase database) : IDisposable
{
    readonly string file = Path.GetTempFileName();

    public void Dispose() => File.Delete(file);

    [Fact]
    public async Task Whatever_the_original_sealed_in_either_layout_is_revealed_as_it_was()
    {
        const string Script = """
            const c = require('crypto'), key = 'the-key-of-the-original', secrets = [
                ['API_KEY', { apiKey: 'sk_live_1' }], ['BASIC_AUTH', { username: 'ä', password: '漢字 🔑 "' }], ['DATABASE', { host: 'db', port: 5432 }],
                ['CUSTOM', { deep: [1.50, null, { a: [] }], zero: '\u0000' }], ['JWT', { token: 'x'.repeat(60000) }]];
            const seal = (key, iv, text) => {
                const aes = c.createCipheriv('aes-256-gcm', key, iv);
                const cipher = Buffer.concat([aes.update(text, 'utf8'), aes.final()]);
                return [iv, cipher, aes.getAuthTag()].map(b => b.toString('hex'));
            };
            const scrypted = c.scryptSync(key, 'salt', 32), padded = Buffer.from(key.padEnd(32, '0').slice(0, 32)), credentials = [];
            for (const [type, secret] of secrets) {
                const [iv, cipher, tag] = seal(padded, c.randomBytes(16), JSON.stringify(secret));
                for (const data of [`${iv}:${tag}:${cipher}`, ['v1', ...seal(scrypted, c.randomBytes(16), JSON.stringify(secret))].join(':')])
                    credentials.push({ id: `c${credentials.length}`, name: type === 'JWT' ? '60000' : JSON.stringify(secret), type, data, userId: 'u1', isActive: true });
            }
            console.log(JSON.stringify({ version: '1.0.0', users: [{ id: 'u1', email: 'Owner@example.com' }], credentials }));
            """;
        await File.WriteAllTextAsync(file, await OriginalSecretsTests.NodeAsync(Script));
        var tenant = await database.NewTenantAsync();
        var owner = await tenant.Scope.Users.CreateAsync(new NewUser { Email = "owner@example.com" });

        var report = await new OriginalCredentialImporter(tenant.Scope, "the-key-of-the-original").RunAsync(file);

        Assert.Equal(10, report.Count(row => row is { Outcome: ImportOutcome.Created, Message: null }));
        foreach (var credential in await tenant.Scope.Credentials.ListAsync(new(), null, 20))
        {
            Assert.Equal(owner.Id, credential.OwnerId);
            var secret = (await tenant.Scope.Credentials.RevealAsync(credential.Id)).Secret;
            Assert.Equal(credential.Name, credential.Type == CredentialType.Jwt ? $"{secret.GetProperty("token").GetString()!.Length}" : secret.GetRawText());
        }
        Assert.Equal(0L, await database.ScalarAsync<long>($"select count(*) from flowstone.credential_versions where tenant_id = '{tenant.Id}' and position('sk_live'::bytea in secret) > 0"));
    }

    [Fact]
    public async Task What_is_not_as_it_was_is_told_and_what_was_brought_in_before_stays()
    {
        await WriteAsync($$"""
            {"credentials":[
                {"id":"1","name":"Wrong shape","type":"DATABASE","data":"{{OriginalSecretsTests.OfFirst}}","isActive":false,"expiresAt":"2020-01-01T00:00:00Z"},
                {"id":"2","name":"New type","type":"KERBEROS","data":"{{OriginalSecretsTests.OfSecond}}","visibility":"SHARED"},
                {"id":"3","name":"Never sealed","type":"API_KEY","data":"{\"apiKey\":\"sk_live_2\"}","isEncrypted":false,"visibility":"PUBLIC"},
                {"id":"4","name":"Broken","type":"API_KEY","data":"sk_live_3"},
                {"id":"5","name":"No text","type":"API_KEY","data":"sk_live_4 {","isEncrypted":false},
                {"id":"6","name":"Nothing","type":"API_KEY"},
                {"name":"No id","type":"API_KEY","data":"{{OriginalSecretsTests.OfFirst}}"}]}
            """);
        var tenant = await database.NewTenantAsync();

        var report = await ImportAsync(tenant);

        Assert.Equal([ImportOutcome.Created, ImportOutcome.Created, ImportOutcome.Created, ImportOutcome.Failed, ImportOutcome.Failed, ImportOutcome.Failed, ImportOutcome.Failed], report.Select(row => row.Outcome));
        foreach (var (row, part) in new[] { "secret.connectionString: is missing", "Its type is none", "Its owner is not here", "neither", "is no JSON", "data: is missing", "id: is missing" }.Select((part, i) => (report[i], part)))
            Assert.Contains(part, row.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(report, row => row.Message!.Contains("sk_live", StringComparison.Ordinal));
        var stored = (await tenant.Scope.Credentials.ListAsync(new(), null, 20)).ToDictionary(c => c.Name);
        Assert.Equal((CredentialType.Custom, false, 2020), (stored["Wrong shape"].Type, stored["Wrong shape"].Active, stored["Wrong shape"].ExpiresAt!.Value.Year));
        Assert.Equal((CredentialType.Custom, Visibility.Private), (stored["New type"].Type, stored["New type"].Visibility));
        Assert.Equal(Visibility.Public, stored["Never sealed"].Visibility);

        Assert.Equal(3, (await ImportAsync(tenant)).Count(row => row.Outcome == ImportOutcome.AlreadyThere));
        Assert.Equal(3, await tenant.Scope.Credentials.CountAsync(new()));
    }

    [Theory]
    [InlineData("{\"users\":[]}", "no array")]
    [InlineData("[1]", "no array")]
    [InlineData("{\"credentials\":[", "is no JSON (line 1)")]
    public async Task A_file_that_is_none_is_refused_before_anything_is_stored(string content, string why)
    {
        await WriteAsync(content);
        var tenant = await database.NewTenantAsync();
        Assert.Contains(why, (await Assert.ThrowsAsync<InvalidInputException>(() => ImportAsync(tenant))).Message, StringComparison.Ordinal);
    }

    Task WriteAsync(string content) => File.WriteAllTextAsync(file, content);

    Task<IReadOnlyList<ImportedCredential>> ImportAsync(TestTenant tenant) => new OriginalCredentialImporter(tenant.Scope, "short").RunAsync(file);
}
