using Flowstone.Credentials;
using Flowstone.Data;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Flowstone;

/// <summary>The way in: one per process and database. Everything of a tenant is reached through <see cref="Tenant"/>.</summary>
public sealed class FlowstoneStore : IAsyncDisposable
{
    readonly NpgsqlDataSource source;
    readonly NpgsqlDataSource writing;
    readonly Database app;
    readonly TimeProvider clock;
    readonly NodeOrdinals nodes = new();
    readonly GroupCommit writes;
    readonly QueueLanes lanes = new();
    readonly QueueNews news;
    readonly PayloadSettings settings;
    readonly PayloadStore payloads;
    readonly IKeyRing? keys;

    /// <param name="keys">Null takes the master keys of the options, if there are any.</param>
    public FlowstoneStore(IOptions<FlowstoneOptions> options, TimeProvider clock, IKeyRing? keys = null)
        : this(options.Value, clock, keys ?? KeySource.Of(options.Value))
    {
    }

    FlowstoneStore(FlowstoneOptions options, TimeProvider clock, IKeyRing? keys)
        : this(Connect(options), clock, PayloadSettings.Of(options), options.Writers, Connect(options, options.Writers), keys, limits: LoginAttempts.Limits.Of(options), maxDefinitionBytes: options.MaxDefinitionBytes)
    {
    }

    /// <param name="writing">For the group commit alone: a pool goes round, and a server process that comes fourth has forgotten what the first one had at hand.</param>
    internal FlowstoneStore(NpgsqlDataSource source, TimeProvider clock, PayloadSettings? settings = null, int writers = 1, NpgsqlDataSource? writing = null, IKeyRing? keys = null, SecretSealer? secrets = null, LoginAttempts.Limits? limits = null, int maxDefinitionBytes = WorkflowDefinition.MaxBytes)
    {
        (this.source, this.writing, this.clock, this.settings, this.keys) = (source, writing ?? source, clock, settings ?? new(), keys);
        (Limits, MaxDefinitionBytes) = (limits ?? LoginAttempts.Limits.Default, maxDefinitionBytes);
        app = new Database(source, TenantPolicies.AppRole);
        var worker = new Database(source, TenantPolicies.WorkerRole);
        news = new QueueNews(source, lanes, clock);
        writes = new GroupCommit(new Database(this.writing, TenantPolicies.AppRole), clock, writers, news.Add);
        Tenants = new TenantDirectory(app, worker, clock);
        ApiKeys = new ApiKeys(app, clock);
        SignInSweep = new SignInSweep(app, Tenants, clock);
        var masters = new MasterKeys(app, keys, clock);
        Secrets = secrets ?? new SecretSealer(keys is null ? null : new DataKeys(app, keys, masters, clock));
        KeyRotation = new KeyRotation(app, Tenants, keys, masters, Secrets, clock);
        SignIn = new SignIn(app, Secrets, Limits, clock);
        payloads = new PayloadStore(app, Secrets, clock, this.settings);
        PayloadSweeper = payloads.Sweeper(Tenants);
        Statistics = new StatisticsFold(app, Tenants);
        WorkflowIndex = new WorkflowIndex(app, Tenants);
        Queue = new ExecutionQueue(app, worker, clock, nodes, payloads, writes, lanes, news);
        Retention = new ExecutionRetention(app, worker, clock);
        Trash = new WorkflowTrash(app, Tenants, clock);
        Schedules = new ScheduleRunner(app, worker, Tenants, id => Tenant(id, Actor.System("schedule")).Executions, clock);
        Health = new DatabaseHealth(source, masters, Schedules);
    }

    internal Database App => app;
    internal LoginAttempts.Limits Limits { get; }
    internal int MaxDefinitionBytes { get; }
    internal NodeOrdinals Nodes => nodes;

    /// <summary>Finds and makes tenants.</summary>
    public TenantDirectory Tenants { get; }

    /// <summary>Turns an e-mail address and a password into a session, and a session's token into its user.</summary>
    public SignIn SignIn { get; }

    /// <summary>Knows users by their API keys, and how often each may be used.</summary>
    public ApiKeys ApiKeys { get; }

    /// <summary>Deletes sessions, tokens and failed sign-ins that have ended; the server does it every ten minutes.</summary>
    public SignInSweep SignInSweep { get; }

    /// <summary>Rotates master keys and data keys, reports what is sealed with which, and destroys a tenant's.</summary>
    public KeyRotation KeyRotation { get; }

    /// <summary>Seals secrets and opens them, for all tenants.</summary>
    public SecretSealer Secrets { get; }

    /// <summary>Hands out executions to workers and takes back what they did, for all tenants.</summary>
    public ExecutionQueue Queue { get; }

    /// <summary>Adds up what ended; the server does it every few seconds.</summary>
    public StatisticsFold Statistics { get; }

    /// <summary>Makes workflows findable that a release without search saved; <c>flowstone migrate</c> does it, and the server every ten minutes.</summary>
    public WorkflowIndex WorkflowIndex { get; }

    /// <summary>Fires what is due; the server does it.</summary>
    public ScheduleRunner Schedules { get; }

    /// <summary>Tidies the object store.</summary>
    public PayloadSweeper PayloadSweeper { get; }

    /// <summary>Deletes what finished long ago; the server does it once a day.</summary>
    public ExecutionRetention Retention { get; }

    /// <summary>Deletes for good what was deleted long ago; the server does it once a day.</summary>
    public WorkflowTrash Trash { get; }

    /// <summary>Whether the database can be used, and if not, why.</summary>
    public DatabaseHealth Health { get; }

    /// <summary>The repositories of one tenant, on behalf of one actor. Cheap: make one per request.</summary>
    /// <exception cref="ArgumentException">The actor is known in another tenant.</exception>
    public TenantScope Tenant(Id<Tenant> id, Actor actor) => actor.TenantId is { } home && home != id
        ? throw new ArgumentException($"{actor.Name} belongs to another tenant.", nameof(actor)) : new(new TenantDatabase(app, id), app, Secrets, KeyRotation, Limits, MaxDefinitionBytes, actor, clock, nodes, payloads, writes, lanes);

    /// <summary>The same store at another time: for demo data and imports of what happened in the past. Shares its connections.</summary>
    internal FlowstoneStore At(TimeProvider time) => new(source, time, settings with { Now = settings.Now ?? clock }, keys: keys, secrets: Secrets, limits: Limits, maxDefinitionBytes: MaxDefinitionBytes);

    /// <summary>Writes what was asked for and closes the connections.</summary>
    public async ValueTask DisposeAsync()
    {
        await writes.DisposeAsync();
        await news.DisposeAsync();
        settings.Objects?.Dispose();
        Secrets.Dispose();
        (keys as IDisposable)?.Dispose();
        await writing.DisposeAsync();
        await source.DisposeAsync();
    }

    /// <param name="writers">For the group commit: so many connections, and none until it writes.</param>
    internal static NpgsqlDataSource Connect(FlowstoneOptions options, int? writers = null)
    {
        var settings = DatabaseUrl.Parse(options.ConnectionString);
        settings.MaxPoolSize = writers ?? options.PoolMax;
        settings.MinPoolSize = writers is null ? Math.Min(options.PoolMin, options.PoolMax) : 0;
        settings.CommandTimeout = (int)Math.Ceiling(options.CommandTimeout.TotalSeconds);
        // Behind a transaction pooler that knows no prepared statements: Max Auto Prepare=0.
        if (!settings.ShouldSerialize("Max Auto Prepare"))
            settings.MaxAutoPrepare = 64;
        settings.AutoPrepareMinUsages = 2;

        // Nothing is set but for a transaction: there is nothing to reset, which would take six statements per transaction.
        settings.NoResetOnClose = true;
        settings.ApplicationName ??= "flowstone";
        return NpgsqlDataSource.Create(settings);
    }
}
