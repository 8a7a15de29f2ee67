using System.Collections;
using System.Reflection;
using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Executions;
using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.Tests.Permissions;

/// <summary>Calls every public method of every repository of a tenant as somebody to whom nothing belongs: a new one that forgets to ask is found here.</summary>
public sealed class EveryMethodTests(TestDatabase database)
{
    // What every user may do; each with its reason.
    static readonly Dictionary<string, string> forEverybody = new()
    {
        ["Users.FindAsync"] = "users of a tenant may know of each other: they share with each other",
        ["Users.FindByEmailAsync"] = "users of a tenant may know of each other",
        ["Users.ListAsync"] = "users of a tenant may know of each other",
        ["Users.CountAsync"] = "users of a tenant may know of each other",
        ["Users.StatisticsAsync"] = "users of a tenant may know of each other",
        ["Teams.FindAsync"] = "users may know of teams",
        ["Teams.ListAsync"] = "users may know of teams",
        ["Teams.MembersAsync"] = "users may know of teams",
        ["Workflows.CreateAsync"] = "a user's own workflow",
        ["Transfer.ImportAsync"] = "a user's own workflow",
        ["Credentials.CreateAsync"] = "a user's own credential",
        ["PayloadPolicies.GetAsync()"] = "what applies to the user's own workflows",
    };

    // Not even administrators do it for somebody else; each with its reason.
    static readonly Dictionary<string, string> forOneselfAlone = new()
    {
        ["TwoFactor.BeginAsync"] = "nobody else may see the secret",
        ["TwoFactor.ConfirmAsync"] = "nobody else has the app",
        ["TwoFactor.NewRecoveryCodesAsync"] = "nobody else may see them",
        ["TwoFactor.DisableAsync"] = "with a code; without one, administrators do (TwoFactorTests)",
    };

    // For which there is nothing to do here; each with its reason.
    static readonly Dictionary<string, string> nothingToDo = new()
    {
        ["Workflows.ListIssuesAsync"] = "its graph has none",
        ["Credentials.UsedByAsync"] = "no workflow names it",
        ["Credentials.DeactivateExpiredAsync"] = "none has expired",
        ["Schedules.ListFiringsAsync"] = "it was not due yet",
        ["Schedules.ListLastFiringsAsync"] = "it was not due yet",
        ["Keys.CloseAsync"] = "none is retired",
    };

    public static TheoryData<string> Methods => [.. All().Select(m => Name(m.Repository, m.Method))];

    static IEnumerable<(PropertyInfo Repository, MethodInfo Method)> All()
        => typeof(TenantScope).GetProperties().Where(p => p.PropertyType.IsClass)
            .SelectMany(p => p.PropertyType.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly).Where(m => !m.IsSpecialName), (p, m) => (p, m));

    static string Name(PropertyInfo repository, MethodInfo method)
        => $"{repository.Name}.{method.Name}({string.Join(", ", method.GetParameters().Where(p => p.ParameterType != typeof(CancellationToken)).Select(p => p.Name))})";

    [Theory]
    [MemberData(nameof(Methods))]
    public async Task A_stranger_gets_nothing_and_an_administrator_does(string name)
    {
        var (repository, method) = All().Single(m => Name(m.Repository, m.Method) == name);
        var tenant = await database.NewTenantAsync();
        var things = await Things.MakeAsync(tenant);

        var open = forEverybody.Keys.Any(key => name == key || name.StartsWith($"{key}(", StringComparison.Ordinal));
        var stranger = await CallAsync(things.Stranger, repository, method, tenant, things);
        Assert.True(stranger == Outcome.Refused || (open && stranger == Outcome.Done) || (!open && stranger == Outcome.Nothing), $"{name} by a stranger: {stranger}");
        var suspended = await CallAsync(things.Suspended, repository, method, tenant, things);
        Assert.True(suspended is Outcome.Refused or Outcome.Nothing, $"{name} by a suspended user: {suspended}");
        var viewer = await CallAsync(things.Viewer, repository, method, tenant, things);
        Assert.True(viewer is Outcome.Refused or Outcome.Nothing || IsReading(method) || name.StartsWith("Comments.CreateAsync", StringComparison.Ordinal), $"{name} by a viewer: {viewer}");
        var administrator = await CallAsync(things.Administrator, repository, method, tenant, things);
        Assert.True(administrator is Outcome.Done or Outcome.Rejected || (Is(forOneselfAlone) && administrator == Outcome.Refused) || (Is(nothingToDo) && administrator == Outcome.Nothing),
            $"{name} by an administrator: {administrator}");

        bool Is(Dictionary<string, string> known) => known.ContainsKey(name[..name.IndexOf('(', StringComparison.Ordinal)]);
    }

    static bool IsReading(MethodInfo method)
        => new[] { "Find", "List", "Get", "Count", "Names", "Members", "Versions", "Search", "Nodes", "Timeline", "Logs", "Attributes", "Open", "Statistics", "Estimate", "Active", "Validity", "UsedBy", "Status", "Overview", "Page", "Usage", "Export", "Diff", "Blame" }
            .Any(verb => method.Name.StartsWith(verb, StringComparison.Ordinal));

    enum Outcome
    {
        Refused,    // not there, or denied
        Nothing,    // null, false, none
        Rejected,   // the input or the state does not fit: the question was answered before
        Done,
    }

    async Task<Outcome> CallAsync(TenantScope scope, PropertyInfo repository, MethodInfo method, TestTenant tenant, Things things)
    {
        await using var connection = new NpgsqlConnection(database.AppConnectionString());
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var arguments = method.GetParameters().Select(p => things.Argument(p, method, transaction)).ToArray();
        try
        {
            var task = (Task)method.Invoke(repository.GetValue(scope), arguments)!;
            await task;
            var type = task.GetType();
            var result = method.ReturnType.IsGenericType ? type.GetProperty("Result")!.GetValue(task) : true;
            return IsNothing(result) ? Outcome.Nothing : Outcome.Done;
        }
        catch (Exception error) when (error is NotFoundException or AccessDeniedException)
        {
            return Outcome.Refused;
        }
        catch (Exception error) when (error is ConflictException or InvalidInputException)
        {
            return Outcome.Rejected;
        }
    }

    static bool IsNothing(object? result) => result switch
    {
        null or false or 0 => true,
        Total total => total.Value == 0,
        CredentialFigures figures => figures.Total == 0,
        WorkflowFigures figures => figures.Total == 0,
        ExecutionFigures figures => figures.Counts.Values.All(count => count == 0),
        IEnumerable many => !many.Cast<object>().Any(),
        _ => false,
    };

    /// <summary>One of each, none of which is the stranger's.</summary>
    sealed record Things(TestTenant Tenant, User Owner, Team Team, Workflow Workflow, Execution Execution, string DedupKey, User Other, Id<Workflow> Trash, Id<Session> Session, Id<ApiKey> Key, Id<Credential> Credential, Id<Schedule> Schedule, Id<WorkflowComment> Comment,
        TenantScope Stranger, TenantScope Suspended, TenantScope Viewer, TenantScope Administrator)
    {
        public static async Task<Things> MakeAsync(TestTenant tenant)
        {
            var (owner, other) = (await UserAsync(UserRole.User), await UserAsync(UserRole.User));
            var team = await tenant.Scope.Teams.CreateAsync("Team", null, owner.Id);
            var asOwner = tenant.Store.Tenant(tenant.Id, Actor.User(owner.Id));
            var workflow = await asOwner.Workflows.CreateAsync(new() { Definition = TestTenant.Definition(), TeamId = team.Id });
            await asOwner.Workflows.SetSearchAttributesAsync(workflow.Id, new Dictionary<string, AttributeType> { ["a"] = AttributeType.Text });
            await asOwner.Shares.SetAsync(workflow.Id, other.Id, ShareLevel.Read);
            var execution = await asOwner.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, Input = TestTenant.Json("[1]"), DedupKey = "key", Attributes = new Dictionary<string, AttributeValue> { ["a"] = "x" } });
            var claimed = Assert.Single(await tenant.ClaimAsync());
            await asOwner.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id, MaxAttempts = 1 });
            await tenant.Queue.GiveBackAsync(Assert.Single(await tenant.ClaimAsync()).Lease, "It failed.");   // a dead letter
            await tenant.Queue.RecordAsync(claimed.Lease, [new() { NodeId = "n0" }], []);
            var trash = await asOwner.Workflows.CreateAsync(new() { Definition = TestTenant.Definition(), TeamId = team.Id });
            await asOwner.Workflows.DeleteAsync(trash.Id);
            await asOwner.Workflows.PublishAsync(workflow.Id);
            var viewer = await UserAsync(UserRole.Viewer);
            await asOwner.Shares.SetAsync(workflow.Id, viewer.Id, ShareLevel.Admin);
            var suspended = await UserAsync(UserRole.Admin);
            var administrator = await UserAsync(UserRole.Admin);
            await tenant.Scope.Users.UpdateAsync(suspended.Id, new() { Status = UserStatus.Suspended });
            var session = SessionRepository.Of((await tenant.Store.SignIn.OpenAsync(tenant.Id, other.Id)).Token)!.Value;
            var key = await tenant.Scope.ApiKeys.CreateAsync(other.Id, new() { Name = "Key", Scopes = [ApiScope.Read] });
            var credential = await asOwner.Credentials.CreateAsync(new() { Name = "Key", Type = CredentialType.Custom, Secret = JsonElement.Parse("{}"), TeamId = team.Id, ExpiresAt = tenant.Clock.Now().AddDays(1) });
            await asOwner.CredentialShares.SetAsync(credential.Id, other.Id, [CredentialRight.Use]);
            await asOwner.CredentialShares.SetAsync(credential.Id, viewer.Id, [CredentialRight.Admin]);
            var comment = await asOwner.Comments.CreateAsync(workflow.Id, new() { Text = "Why?" });
            var schedule = await asOwner.Schedules.CreateAsync(workflow.Id, new() { Name = "Yearly", Cron = "0 0 1 1 *" });
            return new(tenant, owner, team, workflow, execution, "key", other, trash.Id, session, key.Stored.Id, credential.Id, schedule.Id, comment.Id,
                As((await UserAsync(UserRole.User)).Id), As(suspended.Id), As(viewer.Id), As(administrator.Id));

            Task<User> UserAsync(UserRole role) => tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = role });
            TenantScope As(Id<User> user) => tenant.Store.Tenant(tenant.Id, Actor.User(user));
        }

        public object? Argument(ParameterInfo parameter, MethodInfo method, NpgsqlTransaction transaction)
        {
            var type = Nullable.GetUnderlyingType(parameter.ParameterType) ?? parameter.ParameterType;
            return (parameter.Name, type.Name) switch
            {
                (_, nameof(CancellationToken)) => CancellationToken.None,
                (_, nameof(NpgsqlTransaction)) => transaction,
                ("before" or "after" or "basedOn" or "expiresAt", _) => parameter.HasDefaultValue ? parameter.DefaultValue : null,
                ("from" or "to", _) when type == typeof(int) => 1,
                ("from" or "to", _) when type != typeof(Id<User>) => parameter.HasDefaultValue ? parameter.DefaultValue : null,
                ("to", _) => Other.Id,
                (_, _) when type == typeof(Id<Workflow>) => method.Name is "UndeleteAsync" or "PurgeAsync" ? Trash : Workflow.Id,
                (_, _) when type == typeof(Id<Execution>) => Execution.Id,
                (_, _) when type == typeof(Id<Team>) => Team.Id,
                (_, _) when type == typeof(Id<Session>) => Session,
                (_, _) when type == typeof(Id<ApiKey>) => Key,
                (_, _) when type == typeof(Id<Credential>) => Credential,
                (_, _) when type == typeof(Id<Schedule>) => Schedule,
                (_, _) when type == typeof(NewSchedule) => new NewSchedule { Name = "New", Cron = "0 0 1 1 *" },
                (_, _) when type == typeof(Id<WorkflowComment>) => Comment,
                (_, _) when type == typeof(NewComment) => new NewComment { Text = "Because." },
                (_, _) when type == typeof(CommentChanges) => new CommentChanges { Text = "Changed" },
                (_, _) when type == typeof(NewCredential) => new NewCredential { Name = "New", Type = CredentialType.Custom, Secret = JsonElement.Parse("{}") },
                (_, _) when type == typeof(CredentialChanges) => new CredentialChanges { Name = "Changed" },
                (_, _) when type == typeof(IReadOnlyCollection<CredentialRight>) => new[] { CredentialRight.Read },
                ("number", _) => 1,
                (_, _) when type == typeof(NewApiKey) => new NewApiKey { Name = "Key", Scopes = [ApiScope.Read] },
                (_, _) when type == typeof(Id<User>) => parameter.Name is "user" ? Other.Id : Owner.Id,
                (_, _) when type == typeof(IEnumerable<Id<Schedule>>) => new[] { Schedule },
                (_, _) when type == typeof(IEnumerable<Id<Workflow>>) => new[] { Workflow.Id },
                (_, _) when type == typeof(NewExecution) => new NewExecution { WorkflowId = Workflow.Id },
                (_, _) when type == typeof(IReadOnlyList<NewExecution>) => new[] { new NewExecution { WorkflowId = Workflow.Id } },
                (_, _) when type == typeof(NewWorkflow) => new NewWorkflow { Definition = TestTenant.Definition() },
                (_, _) when type == typeof(IReadOnlyList<NewUser>) => new[] { new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" } },
                (_, _) when type == typeof(NewUser) => new NewUser { Email = $"{Path.GetRandomFileName()}@example.com" },
                (_, _) when type == typeof(UserChanges) => new UserChanges { FirstName = "Eve" },
                (_, _) when type == typeof(WorkflowStatus) => WorkflowStatus.Active,
                (_, _) when type == typeof(ReferenceKind) => ReferenceKind.NodeType,
                ("value", _) => "test.node",
                (_, _) when type == typeof(Visibility) => Visibility.Public,
                (_, _) when type == typeof(PayloadRef) => Execution.Input,
                (_, nameof(Stream)) => new MemoryStream(),
                (_, nameof(WorkflowFormat)) => WorkflowFormat.Full,
                ("document", _) => JsonElement.Parse("""{"version":"1.0.0","name":"Imported","nodes":[]}"""),
                (_, _) when type == typeof(JsonElement) => TestTenant.Definition(note: Path.GetRandomFileName()),
                (_, _) when type == typeof(DateTimeOffset) => Tenant.Clock.Now() - TimeSpan.FromDays(1),
                (_, _) when type == typeof(IReadOnlyDictionary<string, AttributeType>) => new Dictionary<string, AttributeType> { ["a"] = AttributeType.Text },
                (_, _) when type == typeof(IReadOnlyDictionary<string, AttributeValue>) => new Dictionary<string, AttributeValue> { ["a"] = "y" },
                ("nodeId", _) => "n0",
                ("key", _) => DedupKey,
                ("email", _) => Owner.Email,
                ("limit" or "maximum" or "count", _) => 5,
                (_, nameof(String)) => parameter.HasDefaultValue ? parameter.DefaultValue : "text",
                _ when parameter.HasDefaultValue => parameter.DefaultValue,
                _ when type.IsEnum => Enum.GetValues(type).GetValue(0),
                _ => Activator.CreateInstance(type),
            };
        }
    }
}
