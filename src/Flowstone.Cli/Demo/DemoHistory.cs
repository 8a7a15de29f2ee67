using Flowstone.Cli.Simulation;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Cli.Demo;

/// <summary>
/// Executions of the last 24 hours, made through the same calls as real ones with a clock that tells the hour at which they ran.
/// What each does is a simulation's plan.
/// </summary>
sealed class DemoHistory
{
    const int Executions = 160;
    const int MaxAttempts = 2;
    const long Seed = 20_260_101;
    static readonly TimeSpan Day = TimeSpan.FromHours(24);

    readonly PastClock clock;
    readonly DateTimeOffset end;
    readonly TenantScope tenant;
    readonly ExecutionQueue queue;

    public DemoHistory(FlowstoneStore store, Id<Tenant> tenantId, Id<User> starter)
    {
        end = TimeProvider.System.Now();
        clock = new PastClock(end - Day);
        var past = store.At(clock);
        (tenant, queue) = (past.Tenant(tenantId, Actor.User(starter)), past.Queue);
    }

    public async Task CreateAsync(IReadOnlyList<Workflow> workflows, CancellationToken cancellationToken)
    {
        var graphs = new Dictionary<Id<Workflow>, GraphPlan>();
        for (var i = 0; i < Executions; i++)
        {
            var random = new Mix(Mix.Key(Seed, i));
            var workflow = workflows[random.Next(workflows.Count)];
            if (!graphs.TryGetValue(workflow.Id, out var graph))
            {
                var version = await tenant.Workflows.FindVersionAsync(workflow.Id, workflow.Version, cancellationToken);
                graphs[workflow.Id] = graph = GraphPlan.Create(WorkflowGraph.Read(version!.Definition));
            }
            clock.Set(end - Day + (Day / Executions * (i + random.Fraction())));
            await RunAsync(workflow, graph, new SimulatedRun("demo", Seed, i, FailureRate: 0.1, MaxAttempts), random, cancellationToken);
        }
    }

    async Task RunAsync(Workflow workflow, GraphPlan graph, SimulatedRun run, Mix random, CancellationToken cancellationToken)
    {
        using var input = run.Input();
        var execution = await tenant.Executions.StartAsync(new NewExecution
        {
            WorkflowId = workflow.Id,
            Trigger = (ExecutionTrigger)random.Next((int)ExecutionTrigger.Schedule + 1),
            Input = input.Payload,
        }, cancellationToken);
        clock.Advance(TimeSpan.FromMilliseconds(random.Next(400)));
        if (random.Next(40) == 0)
        {
            await tenant.Executions.CancelAsync(execution.Id, cancellationToken);
            return;
        }
        var claimed = (await queue.ClaimAsync(new ClaimRequest { Worker = "demo", Limit = 1, TenantId = tenant.TenantId }, cancellationToken))[0];
        var visits = RunPlan.Create(graph, run);
        using var bodies = new RunBodies(run, visits, input.Payload);
        var starts = new List<NodeStart>();
        var finishes = new List<NodeFinish>();
        foreach (var visit in visits)
        {
            for (short attempt = 1; attempt <= visit.Tries; attempt++)
            {
                var node = graph.NodeId(visit.Node);
                var succeeded = visit.Succeeds && attempt == visit.Tries;
                starts.Add(new NodeStart { NodeId = node, Iteration = visit.Iteration, Attempt = attempt, Input = bodies[visit.Input], StartedAt = clock.Now() });
                clock.Advance(TimeSpan.FromMilliseconds(Math.Exp(4.5 + (1.3 * random.Normal()))));   // median 90 ms, now and then seconds
                finishes.Add(new NodeFinish
                {
                    NodeId = node,
                    Iteration = visit.Iteration,
                    Attempt = attempt,
                    Status = succeeded ? ExecutionStatus.Success : ExecutionStatus.Failed,
                    Output = succeeded ? bodies[visit.Output] : null,
                    Error = succeeded ? null : "The service answered 503 Service Unavailable.",
                    Reason = succeeded ? null : "HTTP_503",
                    FinishedAt = clock.Now(),
                });
            }
        }
        await queue.RecordAsync(claimed.Lease, starts, finishes, cancellationToken);
        var failed = visits.Count > 0 && !visits[^1].Succeeds;
        await queue.FinishAsync(claimed.Lease, new ExecutionOutcome
        {
            Status = failed ? ExecutionStatus.Failed : ExecutionStatus.Success,
            Output = failed || visits.Count == 0 ? null : bodies[visits[^1].Output],
            Error = failed ? "A node failed twice: the service answered 503 Service Unavailable." : null,
            Reason = failed ? "NODE_FAILED" : null,
        }, cancellationToken);
    }

    sealed class PastClock(DateTimeOffset start) : TimeProvider
    {
        DateTimeOffset now = start;

        public override DateTimeOffset GetUtcNow() => now;

        public void Set(DateTimeOffset time) => now = time;

        public void Advance(TimeSpan time) => now += time;
    }
}
