using System.Globalization;
using System.Text;
using System.Threading.Channels;
using Flowstone.Executions;
using Npgsql;

namespace Flowstone.Benchmarks.Runs;

/// <summary>
/// The floor: what a program can do that is written for this benchmark alone. It writes the same rows into the same tables under the same
/// constraints and policies, with the same guarantees (a call returns after its commit; a write whose fencing number is old changes nothing;
/// a mark tells whether a transaction was committed whose connection was lost), and leaves out everything else: one tenant, one node per call,
/// no look-up of node names, no splitting of a group in which a call is bad. All statements are prepared once, plans are fixed by settings of
/// the session, claims are grouped like everything else.
/// </summary>
sealed class GroupCommitFloor : IRunStore
{
    enum Kind { Start, Claim, StartNode, FinishNode, Finish }

    const int Kinds = 5;
    const string Worker = "bench";

    // Plans are made when tables are small or empty, and used when they are not; ten rows times six partitions by key then seem dearer than
    // to read all that the tenant has. Three things keep every look-up by its key: a locking sub-select is planned by itself; what it found
    // in the queue is found again by its place (ctid); and a limit that is not known yet lets the planner expect a single row. The first and
    // the last id leave out the partitions that do not matter.

    const string StartExecutions = """
        insert into flowstone.executions (tenant_id, id, workflow_id, workflow_version, status, trigger, priority, created_at, due_at, claims, detached, retry_count, max_retries)
        select $1, a.id, w.id, w.version, 'PENDING', 'MANUAL', 0, a.at, a.at, 0, false, 0, 3
          from unnest($2, $3, $4) a (id, workflow_id, at) join flowstone.workflows w on w.tenant_id = $1 and w.id = a.workflow_id
        """;

    const string QueueExecutions = """
        insert into flowstone.execution_queue (shard_key, execution_id, tenant_id, workflow_id, priority, visible_at, fence)
        select $2, a.id, $1, $4, 0, now(), 0 from unnest($3) a (id)
        """;

    const string StartNodes = """
        with held as materialized (
            select a.* from (select * from unnest($3, $4, $5, $6) limit $7) a (execution_id, fence, node, at), lateral (
                select from flowstone.execution_queue q where q.shard_key = $2 and q.execution_id = a.execution_id and q.fence = a.fence for update) q)
        insert into flowstone.node_executions (tenant_id, execution_id, node, iteration, attempt, status, started_at)
        select $1, execution_id, node, 0, 1, 'RUNNING', at from held
        """;

    const string FinishNodes = """
        with held as materialized (
            select $1 as tenant_id, a.* from (select * from unnest($3, $4, $5, $6, $7) limit $8) a (execution_id, fence, node, at, output), lateral (
                select from flowstone.execution_queue q where q.shard_key = $2 and q.execution_id = a.execution_id and q.fence = a.fence for update) q)
        update flowstone.node_executions n set status = 'SUCCESS', finished_at = greatest(n.started_at, held.at), output = held.output from held
         where n.tenant_id = held.tenant_id and n.execution_id = held.execution_id and n.node = held.node and n.iteration = 0 and n.attempt = 1 and n.status = 'RUNNING'
           and n.execution_id between $9 and $10
        """;

    const string Finish = """
        with held as materialized (
            select $1 as tenant_id, q.place, a.* from (select * from unnest($3, $4, $5) limit $6) a (execution_id, fence, at), lateral (
                select q.ctid as place from flowstone.execution_queue q where q.shard_key = $2 and q.execution_id = a.execution_id and q.fence = a.fence for update) q),
        released as (
            delete from flowstone.execution_queue q using held where q.ctid = held.place),
        ended as (
            update flowstone.executions e set status = 'SUCCESS', finished_at = greatest(e.started_at, held.at) from held
             where e.tenant_id = held.tenant_id and e.id = held.execution_id and e.status = 'RUNNING' and e.id between $7 and $8
            returning e.workflow_id, e.due_at, e.started_at, e.finished_at)
        insert into flowstone.execution_deltas (tenant_id, delta_id, workflow_id, hour, status, bucket, executions, duration_ms, wait_ms)
        select $1, gen_random_uuid(), workflow_id, date_trunc('hour', finished_at, 'UTC'), 'SUCCESS', 0, count(*),
               sum(extract(epoch from finished_at - started_at) * 1000), sum(extract(epoch from started_at - due_at) * 1000) from ended group by 3, 4
        """;

    // As flowstone_worker, which sees all tenants' queue rows. Begins where the last one ended, past the dead rows of what was claimed.
    const string Claim = """
        with due as materialized (
            select * from (
                select ctid as place, visible_at from flowstone.execution_queue where tenant_id = $4 and priority = 0 and visible_at >= $5 and visible_at <= now()
                 order by visible_at, execution_id limit $1 for update skip locked) q limit $1),
        taken as (
            update flowstone.execution_queue q set fence = q.fence + 1, worker = $2, visible_at = now() + $3 from due where q.ctid = due.place
            returning q.tenant_id, q.execution_id, q.fence, due.visible_at)
        update flowstone.executions e set status = 'RUNNING', started_at = coalesce(e.started_at, now()), claims = taken.fence from taken
         where e.tenant_id = taken.tenant_id and e.id = taken.execution_id and e.status in ('PENDING', 'RUNNING', 'WAITING')
        returning e.id, taken.fence, e.workflow_id, e.workflow_version, taken.visible_at
        """;

    readonly RunsDatabase database;
    readonly TimeProvider clock = TimeProvider.System;
    readonly Channel<Call>[] lanes;
    readonly Task[] running;
    DateTimeOffset claimFrom = DateTimeOffset.UnixEpoch;   // all claims go over one connection

    public GroupCommitFloor(RunsDatabase database, int connections)
    {
        this.database = database;
        Name = $"floor-{connections}";
        lanes = [.. Enumerable.Range(0, connections).Select(_ => Channel.CreateUnbounded<Call>(new UnboundedChannelOptions { SingleReader = true }))];
        running = [.. lanes.Select(lane => Task.Run(() => RunAsync(lane.Reader)))];
    }

    public string Name { get; }

    public Task StartAsync() => WriteAsync(new Call(Kind.Start) { Id = Id<Execution>.New(clock).Value });

    public async Task<IRun?> ClaimAsync()
    {
        var call = new Call(Kind.Claim);
        await WriteAsync(call);
        return call.Fence == 0 ? null : new Run(this, call.Id, call.Fence);
    }

    sealed class Run(GroupCommitFloor floor, Guid id, int fence) : IRun
    {
        public Task StartNodeAsync(int node) => floor.WriteAsync(new Call(Kind.StartNode) { Id = id, Fence = fence, Node = node });

        public Task FinishNodeAsync(int node, double result)
        {
            byte[] output = [1, .. Encoding.UTF8.GetBytes(result.ToString(CultureInfo.InvariantCulture))];   // 1: a short JSON value, kept in the row
            return floor.WriteAsync(new Call(Kind.FinishNode) { Id = id, Fence = fence, Node = node, Output = output });
        }

        public Task FinishAsync() => floor.WriteAsync(new Call(Kind.Finish) { Id = id, Fence = fence });
    }

    sealed class Call(Kind kind) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Kind Kind => kind;
        public Guid Id { get; set; }
        public int Fence { get; set; }
        public int Node { get; init; }
        public byte[]? Output { get; init; }
        public DateTimeOffset At { get; set; }
    }

    Task WriteAsync(Call call)
    {
        call.At = clock.Now();
        lanes[call.Kind is Kind.FinishNode ? lanes.Length - 1 : 0].Writer.TryWrite(call);
        return call.Task;
    }

    async Task RunAsync(ChannelReader<Call> waiting)
    {
        try
        {
            await using var connection = new NpgsqlConnection(
                new NpgsqlConnectionStringBuilder(database.Server.Application(database.Name)) { Options = PreparedTransaction<List<Call>[]>.PlanSettings }.ConnectionString);
            await connection.OpenAsync();
            var groups = new Dictionary<int, PreparedTransaction<List<Call>[]>>();
            while (await waiting.WaitToReadAsync())
            {
                var calls = new List<Call>();
                while (waiting.TryRead(out var call))
                    calls.Add(call);
                var byKind = new List<Call>[Kinds];
                for (var kind = 0; kind < Kinds; kind++)
                    byKind[kind] = [];
                foreach (var call in calls)
                    byKind[(int)call.Kind].Add(call);
                var mask = 0;
                for (var kind = 0; kind < Kinds; kind++)
                    mask |= byKind[kind].Count > 0 ? 1 << kind : 0;
                if (!groups.TryGetValue(mask, out var group))
                    groups.Add(mask, group = await PrepareAsync(connection, mask));
                await group.CommitAsync(byKind, reader => ReadClaimedAsync(reader, byKind[(int)Kind.Claim]));
                foreach (var call in calls)
                    call.SetResult();
            }
        }
        catch (Exception error)
        {
            // A benchmark that fails is over.
            await Console.Error.WriteLineAsync($"floor: {error}");
            Environment.Exit(1);
        }
    }

    // What is younger than a second may still be committed behind what was seen.
    async Task ReadClaimedAsync(NpgsqlDataReader reader, List<Call> claims)
    {
        if (claims.Count == 0)
            return;
        var last = DateTimeOffset.UnixEpoch;
        foreach (var claim in claims)
            if (await reader.ReadAsync())
            {
                (claim.Id, claim.Fence) = (reader.GetGuid(0), reader.GetInt32(1));
                last = reader.GetFieldValue<DateTimeOffset>(4) is var due && due > last ? due : last;
            }
        claimFrom = last > DateTimeOffset.UnixEpoch ? last.AddSeconds(-1) : last;
    }

    /// <summary>The transaction of a group with certain kinds of calls in it.</summary>
    Task<PreparedTransaction<List<Call>[]>> PrepareAsync(NpgsqlConnection connection, int mask)
    {
        var group = new PreparedTransaction<List<Call>[]>(connection, database.TenantId);
        if (Has(Kind.Start))
        {
            group.Add(StartExecutions, Rows(Kind.Start), Tenant(), Column(Kind.Start, c => c.Id), Column(Kind.Start, _ => database.WorkflowId.Value), Column(Kind.Start, c => c.At));
            group.Add(QueueExecutions, Rows(Kind.Start), Tenant(), Shard(), Column(Kind.Start, c => c.Id), Value(database.WorkflowId.Value));
        }
        if (Has(Kind.StartNode))
            group.Add(StartNodes, Rows(Kind.StartNode), [Tenant(), Shard(), .. Leases(Kind.StartNode), Column(Kind.StartNode, c => c.Node), Column(Kind.StartNode, c => c.At), Count(Kind.StartNode)]);
        if (Has(Kind.FinishNode))
            group.Add(FinishNodes, Rows(Kind.FinishNode),
                [Tenant(), Shard(), .. Leases(Kind.FinishNode), Column(Kind.FinishNode, c => c.Node), Column(Kind.FinishNode, c => c.At),
                 Column(Kind.FinishNode, c => c.Output!), Count(Kind.FinishNode), .. Range(Kind.FinishNode)]);
        if (Has(Kind.Finish))
            group.Add(Finish, [Tenant(), Shard(), .. Leases(Kind.Finish), Column(Kind.Finish, c => c.At), Count(Kind.Finish), .. Range(Kind.Finish)]);
        if (Has(Kind.Claim))
        {
            group.Add("set local role flowstone_worker");
            group.Add(Claim, Count(Kind.Claim), Value(Worker), Value(TimeSpan.FromSeconds(30)), Tenant(), group.Input(DateTimeOffset.UnixEpoch, _ => claimFrom));
        }
        return group.PrepareAsync();

        bool Has(Kind kind) => (mask & (1 << (int)kind)) != 0;

        Func<List<Call>[], int> Rows(Kind kind) => calls => calls[(int)kind].Count;

        NpgsqlParameter Count(Kind kind) => group.Input(0, Rows(kind));

        NpgsqlParameter Tenant() => Value(database.TenantId.Value);

        NpgsqlParameter Shard() => Value(database.ShardKey);

        NpgsqlParameter[] Range(Kind kind) => [group.Input(Guid.Empty, calls => calls[(int)kind].Min(c => c.Id)), group.Input(Guid.Empty, calls => calls[(int)kind].Max(c => c.Id))];

        NpgsqlParameter[] Leases(Kind kind) => [Column(kind, c => c.Id), Column(kind, c => c.Fence)];

        NpgsqlParameter Column<T>(Kind kind, Func<Call, T> pick) => group.Input<T[]>([], calls =>
        {
            var from = calls[(int)kind];
            var values = new T[from.Count];
            for (var i = 0; i < values.Length; i++)
                values[i] = pick(from[i]);
            return values;
        });

        static NpgsqlParameter Value<T>(T value) => PreparedTransaction<List<Call>[]>.Value(value);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var lane in lanes)
            lane.Writer.Complete();
        await Task.WhenAll(running);
    }
}
