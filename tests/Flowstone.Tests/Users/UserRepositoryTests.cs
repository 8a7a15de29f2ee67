using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Users;

namespace Flowstone.Tests.Users;

public sealed class UserRepositoryTests(TestDatabase database)
{
    // Addresses are unique over all tenants, so every test makes its own.
    static string Address(TestTenant tenant, string name = "ada") => $"{name}@{tenant.Tenant.Slug}.example";

    [Fact]
    public async Task A_created_user_is_found_as_it_was_returned()
    {
        var tenant = await database.NewTenantAsync();

        var created = await tenant.Scope.Users.CreateAsync(new NewUser
        {
            Email = $"  {Address(tenant, "Ada")} ",
            FirstName = "Ada",
            LastName = "日本 🦆",
            Role = UserRole.Admin,
            TimeZone = "Europe/Berlin",
            Language = "de",
        });

        Assert.Equal(Address(tenant, "Ada"), created.Email);
        Assert.Equal(UserStatus.Active, created.Status);
        var found = (await tenant.Scope.Users.FindAsync(created.Id))!;
        Assert.Equal(created with { Preferences = default }, found with { Preferences = default });
        Assert.Equal("{}", found.Preferences.GetRawText());
        Assert.Equal(found.Id, (await tenant.Scope.Users.FindByEmailAsync($" {Address(tenant, "ADA").ToUpperInvariant()}\n"))?.Id);
        Assert.Null(await tenant.Scope.Users.FindByEmailAsync(Address(tenant, "nobody")));
    }

    [Theory]
    [InlineData("ada", "ADA")]
    [InlineData("a\u0308rger", "\u00E4rger")]     // decomposed and composed
    [InlineData("\u00E4rger", "\u00C4RGER")]
    [InlineData("\uFF41da", "ada")]                // full-width a: the same under NFKC
    [InlineData("ada", " ada")]
    [InlineData("ada", "\tada")]
    public async Task An_address_is_taken_in_every_tenant_whatever_its_case_and_Unicode_form(string first, string second)
    {
        var (one, other) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var taken = await one.Scope.Users.CreateAsync(new NewUser { Email = Address(one, first) });
        var free = await other.Scope.Users.CreateAsync(new NewUser { Email = Address(other) });
        var doubled = Address(one, second);

        await Assert.ThrowsAsync<ConflictException>(() => one.Scope.Users.CreateAsync(new NewUser { Email = doubled }));
        await Assert.ThrowsAsync<ConflictException>(() => other.Scope.Users.CreateAsync(new NewUser { Email = doubled }));
        await Assert.ThrowsAsync<ConflictException>(() => other.Scope.Users.UpdateAsync(free.Id, new UserChanges { Email = doubled }));

        Assert.Equal(taken.Id, Assert.Single(await one.Scope.Users.ListAsync(new(), null, 10)).Id);
        Assert.Equal(Address(other), Assert.Single(await other.Scope.Users.ListAsync(new(), null, 10)).Email);
        Assert.Equal(free.Id, (await other.Scope.Users.FindByEmailAsync(Address(other)))?.Id);
        Assert.Null(await other.Scope.Users.FindByEmailAsync(Address(one, first)));
    }

    [Fact]
    public async Task Of_two_who_take_an_address_at_the_same_moment_one_gets_it()
    {
        var tenants = new[] { await database.NewTenantAsync(), await database.NewTenantAsync() };
        for (var round = 0; round < 10; round++)
        {
            var address = Address(tenants[0], $"race{round}");
            var results = await Task.WhenAll(tenants.Select(tenant => Outcome.OfAsync(() => tenant.Scope.Users.CreateAsync(new NewUser { Email = address }))));
            Assert.Equal(1, results.Count(result => result is null));
            Assert.Equal(1, results.Count(result => result is ConflictException));
        }
        var lists = await Task.WhenAll(tenants.Select(tenant => tenant.Scope.Users.ListAsync(new(), null, 100)));
        Assert.Equal(10, lists.Sum(list => list.Count));
    }

    [Fact]
    public async Task A_change_frees_the_old_address_and_a_delete_the_last()
    {
        var (one, other) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var user = await one.Scope.Users.CreateAsync(new NewUser { Email = Address(one, "old") });

        await one.Scope.Users.UpdateAsync(user.Id, new UserChanges { Email = Address(one, "OLD") });   // one's own address in another case
        await one.Scope.Users.UpdateAsync(user.Id, new UserChanges { Email = Address(one, "new") });
        await other.Scope.Users.CreateAsync(new NewUser { Email = Address(one, "old") });
        await Assert.ThrowsAsync<ConflictException>(() => other.Scope.Users.CreateAsync(new NewUser { Email = Address(one, "new") }));

        Assert.True(await one.Scope.Users.DeleteAsync(user.Id));
        Assert.False(await one.Scope.Users.DeleteAsync(user.Id));
        await other.Scope.Users.CreateAsync(new NewUser { Email = Address(one, "new") });
    }

    [Fact]
    public async Task A_changed_address_is_stored_and_looked_up_without_white_space_around_it()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "old") });

        var changed = await tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges { Email = $"\t{Address(tenant, "new")}\n" });

        Assert.Equal(Address(tenant, "new"), changed.Email);
        Assert.Equal(user.Id, (await tenant.Scope.Users.FindByEmailAsync(Address(tenant, "new")))?.Id);
        await Assert.ThrowsAsync<ConflictException>(() => tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "new") }));
    }

    public static TheoryData<string, string> BadProfiles => new()
    {
        { "email", """{"email":""}""" },
        { "email", """{"email":"ada"}""" },
        { "email", """{"email":"ada@"}""" },
        { "email", """{"email":"Ada <ada@x.example>"}""" },
        { "email", """{"email":"a@b.example, c@d.example"}""" },
        { "email", """{"email":"a\u0000da@x.example"}""" },
        { "email", $$"""{"email":"{{new string('a', 311)}}@x.example"}""" },
        { "firstName", $$"""{"firstName":"{{new string('a', 256)}}"}""" },
        { "firstName", """{"firstName":"A\u0000"}""" },
        { "lastName", $$"""{"lastName":"{{new string('a', 256)}}"}""" },
        { "lastName", """{"lastName":"\u0000"}""" },
        { "timeZone", """{"timeZone":""}""" },
        { "timeZone", """{"timeZone":"Mars/Olympus"}""" },
        { "timeZone", """{"timeZone":"UTC\u0000"}""" },
        { "timeZone", """{"timeZone":"Europe/../Europe/../Europe/../Europe/../Europe/../Europe/../Berlin"}""" },
        { "timeZone", """{"timeZone":"Europe/../Europe/../Europe/../Europe/../Europe/../Europe/Berlin"}""" },
        { "language", """{"language":"a language that is long"}""" },
        { "language", """{"language":"e\u0000"}""" },
    };

    [Theory, MemberData(nameof(BadProfiles))]
    public async Task What_is_wrong_with_a_user_is_told_by_field_and_nothing_is_stored(string field, string profile)
    {
        var tenant = await database.NewTenantAsync();
        var good = new NewUser { Email = Address(tenant) };
        var user = await tenant.Scope.Users.CreateAsync(good with { Email = Address(tenant, "other") });
        var changes = JsonSerializer.Deserialize<UserChanges>(profile, FlowstoneJson.Options)!;
        var bad = good with
        {
            Email = changes.Email ?? good.Email,
            FirstName = changes.FirstName,
            LastName = changes.LastName,
            TimeZone = changes.TimeZone ?? good.TimeZone,
            Language = changes.Language ?? good.Language,
        };

        Assert.Equal(field, Assert.Single((await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.CreateAsync(bad))).Errors).Field);
        Assert.Equal(field, Assert.Single((await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.UpdateAsync(user.Id, changes))).Errors).Field);

        var left = Assert.Single(await tenant.Scope.Users.ListAsync(new(), null, 10));
        Assert.Equal(user with { Preferences = default }, left with { Preferences = default });
    }

    [Theory]
    [InlineData("""{"a":"\u0000"}""")]
    [InlineData("""{"a":"\ud800"}""")]
    [InlineData("""{"\ud800":1}""")]
    [InlineData("""{"a":1e999999}""")]
    [InlineData("[]")]
    [InlineData("null")]
    public async Task Preferences_that_cannot_be_kept_are_refused_by_field(string preferences)
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant) });

        var refused = await Assert.ThrowsAsync<InvalidInputException>(
            () => tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges { Preferences = JsonElement.Parse(preferences) }));

        Assert.StartsWith("preferences", refused.Errors[0].Field, StringComparison.Ordinal);
        Assert.Equal("{}", (await tenant.Scope.Users.FindAsync(user.Id))!.Preferences.GetRawText());
    }

    [Fact]
    public async Task Lists_filter_and_pages_walk_over_all_without_skip_or_repeat()
    {
        var tenant = await database.NewTenantAsync();
        await (await database.NewTenantAsync()).Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "foreigner") });
        var made = new List<User>();
        for (var i = 0; i < 23; i++)
        {
            made.Add(await tenant.Scope.Users.CreateAsync(new NewUser
            {
                Email = Address(tenant, $"user{i}"),
                FirstName = i % 2 == 0 ? "Even" : null,
                Role = i % 3 == 0 ? UserRole.Viewer : UserRole.User,
            }));
            if (i % 4 == 0)   // several within one millisecond, and several milliseconds
                tenant.Clock.Advance(TimeSpan.FromMilliseconds(1));
        }
        await tenant.Scope.Users.UpdateAsync(made[5].Id, new UserChanges { Status = UserStatus.Suspended });

        Assert.Equal(made.Select(u => u.Id).OrderDescending(), await WalkAsync(new UserFilter(), 5));
        Assert.Equal(Ids(made.Where((_, i) => i % 3 == 0)), await WalkAsync(new UserFilter { Role = UserRole.Viewer }, 3));
        Assert.Equal(Ids(made.Where((_, i) => i % 2 == 0)), await WalkAsync(new UserFilter { Search = "eVEN" }, 4));
        Assert.Equal([made[5].Id], await WalkAsync(new UserFilter { Status = UserStatus.Suspended }, 2));
        Assert.Equal([made[17].Id], await WalkAsync(new UserFilter { Search = "SER17@" }, 2));
        Assert.Empty(await WalkAsync(new UserFilter { Search = "foreigner" }, 2));
        Assert.Empty(await WalkAsync(new UserFilter { Role = UserRole.Admin }, 2));

        static IEnumerable<Id<User>> Ids(IEnumerable<User> users) => users.Select(u => u.Id).OrderDescending();

        async Task<List<Id<User>>> WalkAsync(UserFilter filter, int limit)
        {
            var walked = new List<Id<User>>();
            for (Id<User>? before = null; ; before = walked[^1])
            {
                var page = await tenant.Scope.Users.ListAsync(filter, before, limit);
                if (page.Count == 0)
                    return walked;
                walked.AddRange(page.Select(u => u.Id));
            }
        }
    }

    [Theory]
    [InlineData("%", "100% sure")]
    [InlineData("_", "snake_case")]
    [InlineData(@"\", @"back\slash")]
    [InlineData("'", "O'Brien")]
    [InlineData(@"\%", @"odd\%end")]
    public async Task Wildcards_in_a_search_stand_for_themselves(string search, string name)
    {
        var tenant = await database.NewTenantAsync();
        await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "plain"), LastName = "Plain" });
        var meant = await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "meant"), LastName = name });

        Assert.Equal([meant.Id], (await tenant.Scope.Users.ListAsync(new UserFilter { Search = search }, null, 10)).Select(u => u.Id));
    }

    [Fact]
    public async Task A_search_for_what_no_text_can_hold_is_refused_and_not_a_fault_of_the_database()
    {
        var tenant = await database.NewTenantAsync();
        foreach (var impossible in new[] { "\0", "\uD800", "a\uDC00b" })
        {
            await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.ListAsync(new UserFilter { Search = impossible }, null, 10));
            await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.FindByEmailAsync(impossible));
        }
    }

    [Fact]
    public async Task An_update_changes_what_it_names_and_leaves_what_is_null()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant), FirstName = "Ada", LastName = "Lovelace", TimeZone = "Europe/London", Language = "en" });
        tenant.Clock.Advance(TimeSpan.FromMinutes(1));

        var changed = await tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges { LastName = "King", Preferences = JsonElement.Parse("""{"theme":"dark"}""") });

        Assert.Equal(user with { LastName = "King", Preferences = default, UpdatedAt = tenant.Clock.Now() }, changed with { Preferences = default });
        Assert.Equal("dark", changed.Preferences.GetProperty("theme").GetString());
        var all = await tenant.Scope.Users.UpdateAsync(user.Id, new UserChanges
        {
            Email = Address(tenant, "countess"),
            FirstName = "A.",
            Role = UserRole.Viewer,
            Status = UserStatus.PendingVerification,
            TimeZone = "UTC",
            Language = "fr",
        });
        Assert.Equal(changed with { Email = Address(tenant, "countess"), FirstName = "A.", Role = UserRole.Viewer, Status = UserStatus.PendingVerification, TimeZone = "UTC", Language = "fr", Preferences = default },
            all with { Preferences = default });
        Assert.Equal("dark", all.Preferences.GetProperty("theme").GetString());
    }

    [Fact]
    public async Task A_user_who_is_not_there_or_of_another_tenant_is_not_found()
    {
        var (tenant, other) = (await database.NewTenantAsync(), await database.NewTenantAsync());
        var foreign = await other.Scope.Users.CreateAsync(new NewUser { Email = Address(other) });

        foreach (var id in new[] { Id<User>.New(tenant.Clock), foreign.Id })
        {
            Assert.Null(await tenant.Scope.Users.FindAsync(id));
            Assert.False(await tenant.Scope.Users.DeleteAsync(id));
            var missing = await Assert.ThrowsAsync<NotFoundException>(() => tenant.Scope.Users.UpdateAsync(id, new UserChanges { FirstName = "Eve", Email = Address(tenant, "eve") }));
            Assert.Equal($"User {id} was not found.", missing.Message);
        }
        Assert.Equal(foreign.Email, (await other.Scope.Users.FindAsync(foreign.Id))!.Email);
        Assert.NotNull(await other.Scope.Users.FindByEmailAsync(foreign.Email));
        await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant, "eve") });   // the failed updates took no address
    }

    [Fact]
    public async Task A_user_who_owns_workflows_is_not_deleted_and_keeps_the_address()
    {
        var tenant = await database.NewTenantAsync();
        var user = await tenant.Scope.Users.CreateAsync(new NewUser { Email = Address(tenant) });
        await tenant.Store.Tenant(tenant.Id, Actor.User(user.Id)).Workflows.CreateAsync(new() { Definition = TestTenant.Definition() });

        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Users.DeleteAsync(user.Id));

        Assert.Equal(user.Id, (await tenant.Scope.Users.FindByEmailAsync(user.Email))?.Id);
    }

    [Fact]
    public async Task A_users_JSON_has_no_password_and_no_hash()
    {
        var tenant = await database.NewTenantAsync();
        var hash = SignIn.HashPassword("correct horse");
        var request = new NewUser { Email = Address(tenant), PasswordHash = hash };
        var user = await tenant.Scope.Users.CreateAsync(request);

        foreach (var json in new[] { JsonSerializer.Serialize(user, FlowstoneJson.Options), JsonSerializer.Serialize(request, FlowstoneJson.Options), JsonSerializer.Serialize(await tenant.Scope.Users.FindAsync(user.Id), FlowstoneJson.Options) })
        {
            Assert.DoesNotContain("assword", json, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(hash, json, StringComparison.Ordinal);
        }
        Assert.DoesNotContain(hash, user.ToString(), StringComparison.Ordinal);
        var read = JsonSerializer.Deserialize<User>(JsonSerializer.Serialize(user, FlowstoneJson.Options), FlowstoneJson.Options)!;
        Assert.Equal(user with { Preferences = default }, read with { Preferences = default });
    }
}
