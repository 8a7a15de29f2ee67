using System.Text;
using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Workers;
using Npgsql;

namespace Flowstone.CrashTest;

/// <summary>The handler of the campaign: walks the chain, writes an effect per node in the transaction of its record, and dies where it is told to.</summary>
sealed class ChainRun(FlowstoneStore store, NpgsqlDataSource effects, WorkerSettings settings)
{
    /// <summary>No attempt of a step comes that far: such rows were written late.</summary>
    public const short LateAttempt = 1000;
    public const string LateReason = "LATE";

    // Long enough for a commit under way to be in any state.
    const double LongestWrite = 4;

    static readonly TimeSpan takeOver = TimeSpan.FromSeconds(10);

    public async Task<WorkResult> HandleAsync(WorkContext work)
    {
        try
        {
            if (settings.Empty)
                return await EmptyAsync(work);
            using var input = JsonDocument.Parse((await work.InputAsync())!.Bytes);
            var ordinal = input.RootElement.GetProperty("ordinal").GetInt32();
            var value = Chain.First(ordinal);
            for (var node = 0; node < Chain.Nodes; node++)
                value = await StepAsync(work, ordinal, node, value);
            At(Chain.Nodes, Boundary.BeforeStart);
            Soon(Chain.Nodes, Boundary.CommitUnderWay);
            if (settings.Break == Sabotage.Journal)
                Pipe.Write('F', work.Lease, text: value);
            return Acknowledged(work, WorkResult.Success(Json(value)), value);
        }
        catch (OperationCanceledException) when (work.CancellationToken.IsCancellationRequested && !work.Stopping.IsCancellationRequested)
        {
            await WriteLateAsync(work);
            throw;
        }
    }

    async Task<WorkResult> EmptyAsync(WorkContext work)
    {
        await Task.Yield();
        if (work.CancellationToken.IsCancellationRequested)
            await WriteLateAsync(work);
        return Acknowledged(work, WorkResult.Success(), "-");
    }

    WorkResult Acknowledged(WorkContext work, WorkResult result, string value) => result.Then(_ =>
    {
        At(Chain.Nodes, Boundary.AfterCommit);
        if (settings.Break != Sabotage.Journal)
            Pipe.Write('F', work.Lease, text: value);
        At(Chain.Nodes, Boundary.AfterAcknowledgement);
    });

    async Task<string> StepAsync(WorkContext work, int ordinal, int node, string before)
    {
        At(node, Boundary.BeforeStart);
        Soon(node, Boundary.StartUnderWay);
        var value = Chain.Next(before, node);
        short ran = 0;
        var output = settings.Break == Sabotage.Transaction
            ? await work.StepAsync(Chain.NodeId(node), async step =>
            {
                await using var connection = await effects.OpenConnectionAsync();
                await using var transaction = await connection.BeginTransactionAsync();
                var made = await EffectAsync(step, transaction);
                await transaction.CommitAsync();
                return made;
            })
            : await work.StepAsync(Chain.NodeId(node), effects, EffectAsync);
        At(node, Boundary.AfterCommit);
        if (ran > 0 && settings.Break != Sabotage.Journal)
            Pipe.Write('E', work.Lease, node, ran, value);
        At(node, Boundary.AfterAcknowledgement);
        return Text(output!);

        async Task<PayloadBody?> EffectAsync(StepAttempt step, NpgsqlTransaction transaction)
        {
            ran = step.Attempt;
            Pipe.Write('B', work.Lease, node, step.Attempt);
            At(node, Boundary.AfterStart);
            await using var insert = new NpgsqlCommand("insert into crash_effects (tenant_id, execution_id, ordinal, node, value) values ($1, $2, $3, $4, $5)", transaction.Connection, transaction)
            {
                Parameters = { new() { Value = work.Execution.TenantId.Value }, new() { Value = work.Execution.Id.Value }, new() { Value = ordinal }, new() { Value = node }, new() { Value = value } },
            };
            await insert.ExecuteNonQueryAsync();
            At(node, Boundary.AfterEffect);
            Soon(node, Boundary.CommitUnderWay);
            if (settings.Break == Sabotage.Journal)
                Pipe.Write('E', work.Lease, node, ran, value);
            return Json(value);
        }
    }

    void At(int node, Boundary boundary)
    {
        if (settings.Die is { } die && die.Node == node && die.Boundary == boundary)
            Posix.Die();
    }

    /// <summary>Dies a moment later, while the database works.</summary>
    void Soon(int node, Boundary boundary)
    {
        if (settings.Die is { } die && die.Node == node && die.Boundary == boundary)
            _ = Task.Run(async () =>
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.NextDouble() * LongestWrite));
                Posix.Die();
            });
    }

    /// <summary>After the lease was lost: waits until another has taken over, then writes all the same. Each must be refused.</summary>
    async Task WriteLateAsync(WorkContext work)
    {
        using var time = new CancellationTokenSource(takeOver);
        while ((await work.Tenant.Executions.FindAsync(work.Execution.Id, time.Token))!.Claims <= work.Lease.Fence)
            await Task.Delay(20, time.Token);
        var lease = settings.Break == Sabotage.Fence
            ? work.Lease with { Fence = (await work.Tenant.Executions.FindAsync(work.Execution.Id))!.Claims } : work.Lease;

        await TryAsync("record", () => store.Queue.RecordAsync(lease, settings.Empty ? [new NodeStart { NodeId = "n0", Attempt = LateAttempt }] : [new NodeStart { NodeId = Chain.NodeId(0), Attempt = LateAttempt }], []));
        await TryAsync("finish", () => store.Queue.FinishAsync(lease, new ExecutionOutcome { Status = ExecutionStatus.Failed, Reason = LateReason }));
        await TryAsync("release", () => store.Queue.ReleaseAsync(lease));
        await TryAsync("give-back", () => store.Queue.GiveBackAsync(lease, "late", TimeSpan.FromSeconds(1)));
        await TryAsync("wait", () => store.Queue.WaitAsync(lease, new WaitFor { Until = TimeProvider.System.Now() + TimeSpan.FromSeconds(1) }));
        Pipe.Write((await store.Queue.RenewAsync([lease], settings.Lease)).Count == 1 ? 'R' : 'L', work.Lease, text: "renew");

        async Task TryAsync(string what, Func<Task> write)
        {
            try
            {
                await write();
                Pipe.Write('L', work.Lease, text: what);
            }
            catch (ConflictException)
            {
                Pipe.Write('R', work.Lease, text: what);
            }
            catch (UnavailableException)
            {
                // Nobody knows; the record tells at the end.
            }
        }
    }

    // Letters and digits alone, and a process that lives for a second: a serializer would be most of its work.
    static PayloadBody Json(string value) => new(Encoding.ASCII.GetBytes($"\"{value}\""));

    static string Text(PayloadBody body) => Encoding.ASCII.GetString(body.Bytes.Span[1..^1]);
}
