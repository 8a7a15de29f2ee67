using System.CommandLine;
using Flowstone.Credentials;
using Microsoft.Extensions.Options;

namespace Flowstone.Cli;

static class HealthCommand
{
    public static Command Create()
    {
        var command = new Command("health", "Say whether the database is as Flowstone needs it. Changes nothing; exit code 1 if it is not.") { StoreOptions.Json }.WithExample("flowstone health --json");
        command.SetAction(async (arguments, cancellationToken) =>
        {
            await using var postgres = OpenStore.GivenDatabase(arguments) is null ? await OpenStore.StartOwnAsync(arguments, cancellationToken) : null;
            var connection = OpenStore.GivenDatabase(arguments) ?? postgres!.ConnectionString(OpenStore.DatabaseName, Tenancy.TenantPolicies.Login);
            var options = OpenStore.OptionsFor(connection);
            if (postgres is not null && !KeySource.IsSet(options) && File.Exists(OpenStore.KeyFileOf(arguments)))
                options.KeyFile = OpenStore.KeyFileOf(arguments);
            await using var store = new FlowstoneStore(Options.Create(options), TimeProvider.System);
            var status = await store.Health.CheckAsync(cancellationToken);
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(status);
            else if (status.IsReady)
                Output.Line($"Ready. Partitions reach to {status.PartitionsUntil:yyyy-MM-dd}.");
            foreach (var problem in arguments.GetValue(StoreOptions.Json) ? [] : status.Problems)
                Output.Error(problem);
            return status.IsReady ? 0 : 1;
        });
        return command;
    }
}
