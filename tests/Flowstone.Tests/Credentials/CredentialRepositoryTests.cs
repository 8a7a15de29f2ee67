using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using static Flowstone.Data.Sql;

namespace Flowstone.Tests.Credentials;

public sealed class CredentialRepositoryTests(TestDatabase database)
{
    static JsonElement Secret(string value = "sk_live_1") => JsonSerializer.SerializeToElement(new { apiKey = value });

    static NewCredential New(string name = "Shop", DateTimeOffset? expiresAt = null, string value = "sk_live_1", Id<Team>? team = null, Visibility? visibility = null)
        => new() { Name = name, Type = CredentialType.ApiKey, Secret = Secret(value), ExpiresAt = expiresAt, TeamId = team, Visibility = visibility };

    [Fact]
    public async Task A_secret_is_stored_sealed_revealed_as_it_was_and_each_time_entered_in_the_audit_trail()
    {
        var (tenant, ada, asAda) = await UserAsync();
        var credential = await asAda.Credentials.CreateAsync(New() with { Secret = JsonElement.Parse("""{ "apiKey": "sk_live_1", "extra": [1.50, "ä"] }""") });
        Assert.Equal(ada.Id, credential.OwnerId);
        Assert.Equal(0L, await database.ScalarAsync<long>("select count(*) from flowstone.credential_versions v where tenant_id = $1 and position('sk_live'::bytea in secret) > 0", P(tenant.Id)));

        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        var revealed = await asAda.Credentials.RevealAsync(credential.Id, purpose: "a test");
        Assert.Equal("""{ "apiKey": "sk_live_1", "extra": [1.50, "ä"] }""", revealed.Secret.GetRawText());
        Assert.Equal((1, CredentialType.ApiKey), (revealed.Version, revealed.Type));
        Assert.DoesNotContain("sk_live", revealed.ToString(), StringComparison.Ordinal);
        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        await tenant.Scope.Credentials.RevealAsync(credential.Id);
        Assert.Equal(
            [$"CREDENTIAL_CREATED user {ada.Id} {{}}", $$"""CREDENTIAL_REVEALED user {{ada.Id}} {"purpose": "a test", "version": null}""", """CREDENTIAL_REVEALED test {"purpose": null, "version": null}"""],
            await AuditAsync(tenant, credential));
        Assert.Equal(tenant.Clock.Now(), (await asAda.Credentials.FindAsync(credential.Id))!.LastUsedAt);
    }

    [Fact]
    public async Task To_reveal_is_one_round_trip()
    {
        var (tenant, ada, asAda) = await UserAsync();
        var credential = await asAda.Credentials.CreateAsync(New());
        var signedIn = tenant.Store.Tenant(tenant.Id, Actor.User(new SignedInUser(tenant.Id, ada.Id, ada.Role, ada.Email)));
        await signedIn.Credentials.RevealAsync(credential.Id);

        Assert.Equal(1, await RoundTrips.CountAsync(() => signedIn.Credentials.RevealAsync(credential.Id)));
        Assert.Equal(1, await RoundTrips.CountAsync(() => tenant.Scope.Credentials.RevealAsync(credential.Id)));
    }

    [Theory]
    [InlineData(CredentialType.ApiKey, "{}", "secret.apiKey")]
    [InlineData(CredentialType.ApiKey, """{"apiKey":""}""", "secret.apiKey")]
    [InlineData(CredentialType.ApiKey, """{"apiKey":7}""", "secret.apiKey")]
    [InlineData(CredentialType.ApiKey, "[]", "secret")]
    [InlineData(CredentialType.ApiKey, """{"apiKey":"a\u0000b"}""", "secret")]
    [InlineData(CredentialType.BasicAuth, """{"username":"ada"}""", "secret.password")]
    [InlineData(CredentialType.Oauth2, """{"clientId":"id"}""", "secret.clientSecret")]
    [InlineData(CredentialType.Jwt, "{}", "secret.token")]
    [InlineData(CredentialType.SshKey, """{"privateKey":"my key"}""", "secret.privateKey")]
    [InlineData(CredentialType.Database, """{"host":"db","port":99999}""", "secret.port")]
    [InlineData(CredentialType.Database, """{"user":"sa"}""", "secret.connectionString")]
    public async Task A_secret_that_does_not_fit_its_type_is_refused_with_the_field_and_never_its_content(CredentialType type, string secret, string field)
    {
        var (_, _, asAda) = await UserAsync();
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => asAda.Credentials.CreateAsync(New() with { Type = type, Secret = JsonElement.Parse(secret) }));
        Assert.Equal(field, refused.Errors[0].Field);
        Assert.DoesNotContain("my key", refused.Message, StringComparison.Ordinal);
        Assert.Empty(await asAda.Credentials.ListAsync(new(), null, 10));
    }

    [Fact]
    public async Task A_secret_has_64_KB_at_most()
    {
        var (_, _, asAda) = await UserAsync();
        await asAda.Credentials.CreateAsync(New(value: new string('x', 65_000)));
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => asAda.Credentials.CreateAsync(New(value: new string('x', 66_000))));
        Assert.Equal("secret", refused.Errors[0].Field);
    }

    [Fact]
    public async Task What_is_inactive_or_expired_is_not_revealed()
    {
        var (tenant, _, asAda) = await UserAsync();
        var credential = await asAda.Credentials.CreateAsync(New(expiresAt: tenant.Clock.Now().AddMinutes(1)));
        await asAda.Credentials.UpdateAsync(credential.Id, new() { Active = false });
        Assert.Equal(CredentialValidity.Inactive, await asAda.Credentials.ValidityAsync(credential.Id));
        Assert.Contains("inactive", (await Assert.ThrowsAsync<ConflictException>(() => asAda.Credentials.RevealAsync(credential.Id))).Message, StringComparison.Ordinal);
        await asAda.Credentials.UpdateAsync(credential.Id, new() { Active = true });
        await asAda.Credentials.RevealAsync(credential.Id);
        tenant.Clock.Advance(TimeSpan.FromMinutes(1));   // to the second
        Assert.Equal(CredentialValidity.Expired, await asAda.Credentials.ValidityAsync(credential.Id));
        Assert.Contains("expired", (await Assert.ThrowsAsync<ConflictException>(() => asAda.Credentials.RevealAsync(credential.Id))).Message, StringComparison.Ordinal);
        Assert.Single(await AuditAsync(tenant, credential), entry => entry.StartsWith("CREDENTIAL_REVEALED", StringComparison.Ordinal));

        Assert.Equal(1, await tenant.Scope.Credentials.DeactivateExpiredAsync());
        Assert.Equal(0, await tenant.Scope.Credentials.DeactivateExpiredAsync());
        Assert.False((await asAda.Credentials.FindAsync(credential.Id))!.Active);
        Assert.Contains("CREDENTIAL_EXPIRED test {}", await AuditAsync(tenant, credential));
        await asAda.Credentials.UpdateAsync(credential.Id, new() { Active = true, NeverExpires = true });
        await asAda.Credentials.RevealAsync(credential.Id);
    }

    [Fact]
    public async Task Secrets_are_versions_of_which_two_who_set_one_at_once_make_two_and_an_old_one_comes_back()
    {
        var (tenant, _, asAda) = await UserAsync();
        var credential = await asAda.Credentials.CreateAsync(New());
        var numbers = await Task.WhenAll(Enumerable.Range(2, 8).Select(i => tenant.Store.Tenant(tenant.Id, asAda.Actor).Credentials.SetSecretAsync(credential.Id, Secret($"sk_live_{i}"))));
        Assert.Equal(Enumerable.Range(2, 8), numbers.Order());
        var conflict = await Assert.ThrowsAsync<ConflictException>(() => asAda.Credentials.SetSecretAsync(credential.Id, Secret(), basedOn: 3));
        Assert.Contains("Version 9", conflict.Message, StringComparison.Ordinal);
        Assert.Equal(10, await asAda.Credentials.SetSecretAsync(credential.Id, Secret("sk_live_x"), basedOn: 9));

        Assert.Equal("sk_live_1", (await asAda.Credentials.RevealAsync(credential.Id, version: 1)).Secret.GetProperty("apiKey").GetString());
        Assert.Equal("sk_live_x", (await asAda.Credentials.RevealAsync(credential.Id)).Secret.GetProperty("apiKey").GetString());
        Assert.Equal(11, await asAda.Credentials.RestoreAsync(credential.Id, 1));
        Assert.Equal("sk_live_1", (await asAda.Credentials.RevealAsync(credential.Id)).Secret.GetProperty("apiKey").GetString());
        Assert.Equal([11, 10, 9], (await asAda.Credentials.VersionsAsync(credential.Id, null, 3)).Select(v => v.Number));
        await Assert.ThrowsAsync<NotFoundException>(() => asAda.Credentials.RestoreAsync(credential.Id, 12));
        await Assert.ThrowsAsync<NotFoundException>(() => asAda.Credentials.RevealAsync(credential.Id, version: 12));
    }

    [Fact]
    public async Task A_secret_that_was_moved_to_another_row_or_changed_does_not_open_and_stays_as_it_is()
    {
        var (tenant, _, asAda) = await UserAsync();
        var (one, other) = (await asAda.Credentials.CreateAsync(New()), await asAda.Credentials.CreateAsync(New(value: "sk_live_2")));
        await database.ExecuteAsync(null, $"""
            update flowstone.credential_versions v set secret = o.secret from flowstone.credential_versions o
             where v.tenant_id = '{tenant.Id}' and o.tenant_id = v.tenant_id and v.credential_id in ('{one.Id}', '{other.Id}') and o.credential_id in ('{one.Id}', '{other.Id}') and o.credential_id <> v.credential_id;
            """);
        foreach (var id in new[] { one.Id, other.Id })
        {
            var refused = await Assert.ThrowsAsync<CredentialSealException>(() => asAda.Credentials.RevealAsync(id));
            Assert.DoesNotContain("sk_live", refused.ToString(), StringComparison.Ordinal);
        }
        Assert.Equal(2L, await database.ScalarAsync<long>("select count(distinct secret) from flowstone.credential_versions where tenant_id = $1", P(tenant.Id)));
        await database.ExecuteAsync(null, $"update flowstone.credential_versions set secret = substring(secret for 20) where tenant_id = '{tenant.Id}'");
        await Assert.ThrowsAsync<CredentialSealException>(() => asAda.Credentials.RevealAsync(one.Id));
    }

    [Fact]
    public async Task The_uses_of_a_share_are_counted_exactly_when_many_come_at_once()
    {
        var (tenant, _, asAda) = await UserAsync();
        var (bob, asBob) = await UserAsync(tenant);
        var credential = await asAda.Credentials.CreateAsync(New());
        await asAda.CredentialShares.SetAsync(credential.Id, bob.Id, [CredentialRight.Use], maxUses: 7);

        var given = await Task.WhenAll(Enumerable.Range(0, 30).Select(async _ =>
        {
            try
            {
                return (await tenant.Store.Tenant(tenant.Id, Actor.User(bob.Id)).Credentials.RevealAsync(credential.Id)).Version;
            }
            catch (AccessDeniedException refused)
            {
                Assert.Contains("used up", refused.Message, StringComparison.Ordinal);
                return 0;
            }
        }));
        Assert.Equal(7, given.Count(version => version == 1));
        Assert.Equal(7, Assert.Single(await asAda.CredentialShares.ListAsync(credential.Id)).Uses);
        Assert.Equal(7, (await AuditAsync(tenant, credential)).Count(entry => entry.StartsWith($"CREDENTIAL_REVEALED user {bob.Id}", StringComparison.Ordinal)));
        await Assert.ThrowsAsync<InvalidInputException>(() => asAda.CredentialShares.SetAsync(credential.Id, bob.Id, [CredentialRight.Use], maxUses: 6));
        await asAda.CredentialShares.SetAsync(credential.Id, bob.Id, [CredentialRight.Use], maxUses: 8);
        await asBob.Credentials.RevealAsync(credential.Id);
        await Assert.ThrowsAsync<AccessDeniedException>(() => asBob.Credentials.RevealAsync(credential.Id));
    }

    [Fact]
    public async Task Shares_give_what_they_say_until_they_expire_and_nobody_gives_more_than_they_have()
    {
        var (tenant, ada, asAda) = await UserAsync();
        var (bob, asBob) = await UserAsync(tenant);
        var (eve, asEve) = await UserAsync(tenant);
        var credential = await asAda.Credentials.CreateAsync(New());
        await Assert.ThrowsAsync<NotFoundException>(() => asBob.Credentials.RevealAsync(credential.Id));
        Assert.Null(await asBob.Credentials.FindAsync(credential.Id));

        await asAda.CredentialShares.SetAsync(credential.Id, bob.Id, [CredentialRight.Read], tenant.Clock.Now().AddMinutes(5));
        Assert.NotNull(await asBob.Credentials.FindAsync(credential.Id));
        Assert.Contains("This needs USE; you have READ", (await Assert.ThrowsAsync<AccessDeniedException>(() => asBob.Credentials.RevealAsync(credential.Id))).Message, StringComparison.Ordinal);
        await asAda.CredentialShares.SetAsync(credential.Id, bob.Id, [CredentialRight.Use, CredentialRight.Share], tenant.Clock.Now().AddMinutes(5));
        await asBob.Credentials.RevealAsync(credential.Id);
        await Assert.ThrowsAsync<AccessDeniedException>(() => asBob.Credentials.SetSecretAsync(credential.Id, Secret()));
        await Assert.ThrowsAsync<AccessDeniedException>(() => asBob.Credentials.DeleteAsync(credential.Id));
        await Assert.ThrowsAsync<AccessDeniedException>(() => asBob.CredentialShares.SetAsync(credential.Id, eve.Id, [CredentialRight.Edit]));
        await Assert.ThrowsAsync<AccessDeniedException>(() => asBob.CredentialShares.SetAsync(credential.Id, bob.Id, [CredentialRight.Use]));
        await asBob.CredentialShares.SetAsync(credential.Id, eve.Id, [CredentialRight.Use]);
        await asAda.CredentialShares.SetAsync(credential.Id, eve.Id, [CredentialRight.Edit]);
        await Assert.ThrowsAsync<AccessDeniedException>(() => asBob.CredentialShares.DeleteAsync(credential.Id, eve.Id));   // more than his own
        await asEve.Credentials.SetSecretAsync(credential.Id, Secret("sk_live_2"));
        await Assert.ThrowsAsync<AccessDeniedException>(() => asEve.Credentials.RevealAsync(credential.Id));

        tenant.Clock.Advance(TimeSpan.FromMinutes(5));
        await Assert.ThrowsAsync<NotFoundException>(() => asBob.Credentials.RevealAsync(credential.Id));
        Assert.True(await asEve.CredentialShares.DeleteAsync(credential.Id, eve.Id));   // one's own
        Assert.Null(await asEve.Credentials.FindAsync(credential.Id));
        Assert.True(await asAda.Credentials.DeleteAsync(credential.Id));
        Assert.Contains($"CREDENTIAL_DELETED user {ada.Id} {{}}", await AuditAsync(tenant, credential));
    }

    [Fact]
    public async Task Teams_and_visibility_open_credentials_by_role()
    {
        var (tenant, ada, asAda) = await UserAsync();
        var (member, asMember) = await UserAsync(tenant);
        var (viewer, asViewer) = await UserAsync(tenant);
        var (_, asStranger) = await UserAsync(tenant);
        var team = await asAda.Teams.CreateAsync("Team", null, ada.Id);
        await asAda.Teams.SetMemberAsync(team.Id, member.Id, TeamRole.Member);
        await asAda.Teams.SetMemberAsync(team.Id, viewer.Id, TeamRole.Viewer);
        var credential = await asAda.Credentials.CreateAsync(New(team: team.Id));

        await asMember.Credentials.RevealAsync(credential.Id);
        await Assert.ThrowsAsync<AccessDeniedException>(() => asMember.Credentials.UpdateAsync(credential.Id, new() { Name = "Mine" }));
        await Assert.ThrowsAsync<AccessDeniedException>(() => asViewer.Credentials.RevealAsync(credential.Id));
        Assert.Single(await asViewer.Credentials.ListAsync(new(), null, 10));
        Assert.Empty(await asStranger.Credentials.ListAsync(new(), null, 10));
        await asAda.Credentials.UpdateAsync(credential.Id, new() { Visibility = Visibility.Public });
        await asStranger.Credentials.RevealAsync(credential.Id);
        await asAda.Credentials.UpdateAsync(credential.Id, new() { Visibility = Visibility.Private });
        await Assert.ThrowsAsync<NotFoundException>(() => asMember.Credentials.RevealAsync(credential.Id));
    }

    [Fact]
    public async Task Credentials_are_listed_counted_and_searched_without_their_secrets()
    {
        var (tenant, _, asAda) = await UserAsync();
        for (var i = 0; i < 5; i++)
            await asAda.Credentials.CreateAsync(New($"Shop {i}", i == 4 ? tenant.Clock.Now().AddSeconds(1) : null));
        var database = await asAda.Credentials.CreateAsync(new() { Name = "Db", Description = "The shop's", Type = CredentialType.Database, Secret = JsonElement.Parse("""{"host":"db"}""") });
        await asAda.Credentials.UpdateAsync(database.Id, new() { Active = false });
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));

        foreach (var (filter, count) in new (CredentialFilter, int)[]
        {
            (new(), 6), (new() { Type = CredentialType.Database }, 1), (new() { Active = false }, 1), (new() { Expired = true }, 1), (new() { Search = "SHOP" }, 6), (new() { Search = "shop 3" }, 1), (new() { Search = "%" }, 0),
        })
        {
            Assert.Equal(count, await asAda.Credentials.CountAsync(filter));
            Assert.Equal(count, (await asAda.Credentials.ListAsync(filter, null, 10)).Count);
        }
        var figures = await asAda.Credentials.StatisticsAsync();
        Assert.Equal((6, 4, 1, 1, 5), (figures.Total, figures.Active, figures.Inactive, figures.Expired, figures.ByType[CredentialType.ApiKey]));
        Assert.DoesNotContain("secret", JsonSerializer.Serialize(await asAda.Credentials.ListAsync(new(), null, 10)), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_credential_knows_the_workflows_that_name_it()
    {
        var (tenant, _, asAda) = await UserAsync();
        var credential = await asAda.Credentials.CreateAsync(New());
        var definition = JsonSerializer.SerializeToElement(new { name = "Uses it", nodes = new[] { new { id = "a", name = "A", type = "t", credentials = new { shopApi = new { id = credential.Id.ToString(), name = "Shop" } } } } });
        var workflow = await asAda.Workflows.CreateAsync(new() { Definition = definition });
        await asAda.Workflows.CreateAsync(new() { Definition = TestTenant.Definition() });
        Assert.Equal([KeyValuePair.Create(workflow.Id, "Uses it")], await asAda.Credentials.UsedByAsync(credential.Id));
        await asAda.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition("No more"), null);
        Assert.Empty(await asAda.Credentials.UsedByAsync(credential.Id));
    }

    async Task<(TestTenant Tenant, User User, TenantScope Scope)> UserAsync()
    {
        var tenant = await database.NewTenantAsync();
        var (user, scope) = await UserAsync(tenant);
        return (tenant, user, scope);
    }

    static async Task<(User User, TenantScope Scope)> UserAsync(TestTenant tenant)
    {
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" });
        return (user, tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)));
    }

    async Task<string[]> AuditAsync(TestTenant tenant, Credential credential)
        => await database.ScalarAsync<string[]>("select coalesce(array_agg(action || ' ' || actor || ' ' || details order by id), '{}') from flowstone.audit_entries where tenant_id = $1 and resource_id = $2", P(tenant.Id), P(credential.Id));
}
