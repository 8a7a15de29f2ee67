using System.Diagnostics;
using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>Starts executions, several at a time, as long as the workers keep up.</summary>
sealed class Starter(Crew crew)
{
    // Ids are made by this machine's clock, but not in the order of their making.
    static readonly TimeSpan Slack = TimeSpan.FromSeconds(2);

    readonly long begin = Stopwatch.GetTimestamp();
    int last = -1;

    public Task RunAsync(CancellationToken stop) => Task.WhenAll(Enumerable.Range(0, crew.Options.Starters).Select(_ => StartAllAsync(stop)));

    async Task StartAllAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                // If another process works on the same tenants, places come free there; so do not wait for ever.
                await crew.Backlog.WaitAsync(TimeSpan.FromSeconds(1), stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            if (crew.Options.Duration is { } duration && Stopwatch.GetElapsedTime(begin) >= duration)
                return;
            var ordinal = Interlocked.Increment(ref last);
            if (crew.Options.Duration is null && ordinal >= crew.Options.Executions)
                return;
            await StartAsync(ordinal);
        }
    }

    async Task StartAsync(int ordinal)
    {
        var options = crew.Options;
        var run = new SimulatedRun(crew.Ledger.Session, options.Seed, ordinal, options.FailureRate, options.MaxAttempts);
        var random = new Mix(run.Key);
        var tenant = crew.Catalog.Members[random.Next(crew.Catalog.Members.Count)];
        var workflow = tenant.Workflows[random.Next(tenant.Workflows.Count)];
        using var input = run.Input();
        var execution = await StartOnceAsync(tenant.Scope.Executions, new NewExecution { WorkflowId = workflow.Id, Trigger = ExecutionTrigger.Api, Input = input.Payload });
        crew.Measurements.Started(input.Payload.Bytes.Length);
        var started = new StartedRun(ordinal, execution.TenantId, execution.WorkflowId, execution.WorkflowVersion, execution.Id);
        crew.Ledger.Add(started);
        crew.Journal?.Started(started);
    }

    /// <summary>A start whose outcome is unknown is looked for before it is made again: its input is like no other's.</summary>
    async Task<Execution> StartOnceAsync(ExecutionRepository executions, NewExecution request)
    {
        Id<Execution>? earliest = null;
        return await crew.Patience.AskAsync(async () =>
        {
            if (earliest is { } since && await FindAsync(executions, request, since) is { } found)
                return found;
            earliest ??= Id<Execution>.New(TimeProvider.System);
            return await Measurements.TimeAsync(crew.Measurements.Start, () => executions.StartAsync(request));
        }, CancellationToken.None);
    }

    static async Task<Execution?> FindAsync(ExecutionRepository executions, NewExecution request, Id<Execution> since)
    {
        for (Id<Execution>? before = null; ;)
        {
            var page = await executions.ListAsync(new ExecutionFilter { WorkflowId = request.WorkflowId }, before, 200);
            if (page.Find(e => PayloadRef.Of(request.Input!, inline: true).Equals(e.Input)) is { } found)
                return found;
            if (page.Count == 0 || page[^1].Id.CreatedAt < since.CreatedAt - Slack)
                return null;
            before = page[^1].Id;
        }
    }
}
