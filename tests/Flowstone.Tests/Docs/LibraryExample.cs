using System.Text.Json;
using Flowstone.Executions;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Flowstone.Tests.Docs;

static class LibraryExample
{
    public static async Task<ExecutionStatus> RunAsync(string connectionString)
    {
        // <README.md>
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddFlowstone(options => options.ConnectionString = connectionString);
        using var host = builder.Build();
        var store = host.Services.GetRequiredService<FlowstoneStore>();

        var acme = await store.Tenants.CreateAsync("acme", "Acme Ltd");
        var tenant = store.Tenant(acme.Id, Actor.System("example"));
        var workflow = await tenant.Workflows.CreateAsync(new NewWorkflow
        {
            Definition = JsonElement.Parse("""{ "name": "Greeting", "nodes": [{ "id": "greet", "name": "Greet", "type": "example.greet" }] }"""),
        });
        var started = await tenant.Executions.StartAsync(new NewExecution { WorkflowId = workflow.Id });   // durable from here on

        // A worker, in this process or on another machine:
        foreach (var claimed in await store.Queue.ClaimAsync(new ClaimRequest { Worker = "worker-1", Lease = TimeSpan.FromSeconds(30) }))
        {
            await store.Queue.RecordAsync(claimed.Lease, [new NodeStart { NodeId = "greet" }], []);
            var greeting = PayloadBody.Json(JsonElement.Parse("""{ "text": "Hello" }"""));
            await store.Queue.RecordAsync(claimed.Lease, [], [new NodeFinish { NodeId = "greet", Status = ExecutionStatus.Success, Output = greeting }]);
            await store.Queue.FinishAsync(claimed.Lease, new ExecutionOutcome { Status = ExecutionStatus.Success, Output = greeting });
        }
        var finished = await tenant.Executions.FindAsync(started.Id);   // SUCCESS
        // </README.md>
        return finished!.Status;
    }
}
