using System.CommandLine;
using Flowstone.Tenancy;
using Flowstone.Users;

namespace Flowstone.Cli;

/// <summary>What the operator of the machine does with users. No password is ever on a command line: a token sets one.</summary>
static class UserCommand
{
    static readonly Argument<string> email = new("email") { Description = "The user's address." };

    public static Command Create() => new("user", "Make, list, unlock, sign out and delete users.") { List(), New(), Set(), Token(), Unlock(), SignOut(), TwoFactorOff(), Delete() };

    static Command List()
    {
        var search = new Option<string?>("--search") { Description = "A part of the address or of a name." };
        var list = new Command("list", "List the users, newest first, 200 at most.") { search, StoreOptions.Tenant, StoreOptions.Json }.WithExample("flowstone user list --search @acme.example");
        list.SetAction((arguments, cancellationToken) => WithUsersAsync(arguments, async users =>
        {
            var found = await users.ListAsync(new UserFilter { Search = arguments.GetValue(search) }, null, 200, cancellationToken);
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(found.Select(u => new { u.Id, u.Email, u.FirstName, u.LastName, u.Role, u.Status, u.EmailVerifiedAt, u.CreatedAt }));
            else if (found.Count == 0)
                Output.Line("No such users. Make one: flowstone user create EMAIL");
            foreach (var user in arguments.GetValue(StoreOptions.Json) ? [] : found)
                Output.Line($"{user.Email,-32}  {user.Role,-7}  {user.Status,-19}  {user.Id}");
        }, cancellationToken));
        return list;
    }

    static Command New()
    {
        var role = new Option<UserRole>("--role") { Description = "Default: User.", DefaultValueFactory = _ => UserRole.User };
        var create = new Command("create", "Make a user, and print a token that sets the password (POST /api/v1/auth/password/reset), good for an hour.") { email, role, StoreOptions.Tenant }
            .WithExample("flowstone user create ada@acme.example --role Admin");
        create.SetAction((arguments, cancellationToken) => WithUsersAsync(arguments, async users =>
        {
            var user = await users.CreateAsync(new NewUser { Email = arguments.GetRequiredValue(email), Role = arguments.GetValue(role) }, cancellationToken);
            Output.Line($"{user.Email}  {user.Id}");
            Output.Line($"To set the password: {await users.CreateTokenAsync(user.Id, TokenPurpose.ResetPassword, cancellationToken)}");
        }, cancellationToken));
        return create;
    }

    static Command Set()
    {
        var role = new Option<UserRole?>("--role") { Description = "Ends the user's sessions." };
        var status = new Option<UserStatus?>("--status") { Description = "Other than Active, it ends the user's sessions." };
        var set = new Command("set", "Change a user's role or status.") { email, role, status, StoreOptions.Tenant }.WithExample("flowstone user set ada@acme.example --status Suspended");
        set.SetAction((arguments, cancellationToken) => WithUserAsync(arguments, async (users, user) =>
        {
            var changed = await users.UpdateAsync(user.Id, new UserChanges { Role = arguments.GetValue(role), Status = arguments.GetValue(status) }, cancellationToken);
            Output.Line($"{changed.Email}  {changed.Role}  {changed.Status}");
        }, cancellationToken));
        return set;
    }

    static Command Token()
    {
        var purpose = new Argument<TokenPurpose>("purpose") { Description = "ResetPassword is good for an hour, VerifyEmail for a day." };
        var token = new Command("token", "Print a token for a new password or for verifying the address. It replaces an earlier one.") { email, purpose, StoreOptions.Tenant }
            .WithExample("flowstone user token ada@acme.example ResetPassword");
        token.SetAction((arguments, cancellationToken) => WithUserAsync(arguments,
            async (users, user) => Output.Line(await users.CreateTokenAsync(user.Id, arguments.GetRequiredValue(purpose), cancellationToken)), cancellationToken));
        return token;
    }

    static Command Unlock()
    {
        var unlock = new Command("unlock", "Forget a user's failed sign-ins. A suspension stays.") { email, StoreOptions.Tenant }.WithExample("flowstone user unlock ada@acme.example");
        unlock.SetAction((arguments, cancellationToken) => WithUserAsync(arguments, async (users, user) =>
        {
            var before = await users.LoginFailuresAsync(user.Id, cancellationToken);
            await users.UnlockAsync(user.Id, cancellationToken);
            Output.Line($"{user.Email}: {before.Failures} failed sign-ins forgotten{(user.Status == UserStatus.Active ? "" : $"; the user is {user.Status} still")}.");
        }, cancellationToken));
        return unlock;
    }

    static Command SignOut()
    {
        var signOut = new Command("sign-out", "End all sessions of a user, and forget their devices.") { email, StoreOptions.Tenant }.WithExample("flowstone user sign-out ada@acme.example");
        signOut.SetAction((arguments, cancellationToken) => WithTenantAsync(arguments, async (tenant, user) =>
            Output.Line($"{user.Email}: {await tenant.Sessions.RevokeAllAsync(user.Id, cancellationToken: cancellationToken)} sessions ended."), cancellationToken));
        return signOut;
    }

    static Command TwoFactorOff()
    {
        var off = new Command("two-factor-off", "Turn two-factor sign-in off for a user who has lost the app and the recovery codes.") { email, StoreOptions.Tenant }
            .WithExample("flowstone user two-factor-off ada@acme.example");
        off.SetAction((arguments, cancellationToken) => WithTenantAsync(arguments, async (tenant, user) =>
        {
            await tenant.TwoFactor.DisableAsync(user.Id, code: null, cancellationToken);
            Output.Line($"{user.Email} signs in with the password alone.");
        }, cancellationToken));
        return off;
    }

    static Command Delete()
    {
        var heir = new Option<string?>("--transfer-to") { Description = "The address of the user who gets the workflows, and the teams without another owner." };
        var owned = new Option<bool>("--delete-owned") { Description = "Delete the workflows with all their executions, and the teams with no other member." };
        var yes = new Option<bool>("--yes") { Description = "Needed: a deleted user does not come back." };
        var delete = new Command("delete", "Delete a user.") { email, heir, owned, yes, StoreOptions.Tenant }.WithExample("flowstone user delete ada@acme.example --transfer-to bob@acme.example --yes");
        delete.SetAction((arguments, cancellationToken) => WithUserAsync(arguments, async (users, user) =>
        {
            if (!arguments.GetValue(yes))
                throw new InvalidInputException("--yes", $"is needed to delete {user.Email}.");
            var to = arguments.GetValue(heir) is { } address ? await GetAsync(users, address, cancellationToken) : null;
            await users.DeleteAsync(user.Id, to?.Id, arguments.GetValue(owned), cancellationToken);
            Output.Line($"{user.Email} is deleted{(to is null ? "" : $"; {to.Email} has what was theirs")}.");
        }, cancellationToken));
        return delete;
    }

    static Task WithUsersAsync(ParseResult arguments, Func<UserRepository, Task> act, CancellationToken cancellationToken)
        => OpenAsync(arguments, tenant => act(tenant.Users), cancellationToken);

    static Task WithUserAsync(ParseResult arguments, Func<UserRepository, User, Task> act, CancellationToken cancellationToken)
        => WithTenantAsync(arguments, (tenant, user) => act(tenant.Users, user), cancellationToken);

    static Task WithTenantAsync(ParseResult arguments, Func<TenantScope, User, Task> act, CancellationToken cancellationToken)
        => OpenAsync(arguments, async tenant => await act(tenant, await GetAsync(tenant.Users, arguments.GetRequiredValue(email), cancellationToken)), cancellationToken);

    static async Task OpenAsync(ParseResult arguments, Func<TenantScope, Task> act, CancellationToken cancellationToken)
    {
        await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
        await act(await open.TenantAsync(arguments, cancellationToken));
    }

    static async Task<User> GetAsync(UserRepository users, string address, CancellationToken cancellationToken)
        => await users.FindByEmailAsync(address, cancellationToken) ?? throw new InvalidInputException("email", $"there is no user '{address}'. See: flowstone user list");
}
