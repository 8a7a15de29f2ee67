using System.CommandLine;
using Flowstone.Data;

namespace Flowstone.Cli;

static class MigrateCommand
{
    public static Command Create()
    {
        var status = new Option<bool>("--status") { Description = "Only say what is missing; exit code 1 if anything is." };
        var script = new Option<bool>("--script") { Description = "Only write the SQL of all migrations, for reading or for somebody else to run." };
        var command = new Command("migrate", "Make the database's schema, roles, policies and partitions current. The database's user must be an administrator here.") { status, script }.WithExample("DATABASE_URL=postgres://admin@db/flowstone flowstone migrate");
        command.SetAction(async (arguments, cancellationToken) =>
        {
            if (arguments.GetValue(script))
            {
                Output.Line(DatabaseInstaller.Script());
                return 0;
            }
            await using var postgres = OpenStore.GivenDatabase(arguments) is null ? await OpenStore.StartOwnAsync(arguments, cancellationToken) : null;
            if (postgres is not null && !arguments.GetValue(status))
                await DatabaseInstaller.CreateDatabaseAsync(postgres.ConnectionString() + ";Pooling=false", OpenStore.DatabaseName, cancellationToken);
            var administrator = OpenStore.GivenDatabase(arguments) is { } given
                ? DatabaseUrl.Parse(given).ConnectionString : postgres!.ConnectionString(OpenStore.DatabaseName) + ";Pooling=false";
            var installer = new DatabaseInstaller(administrator);
            if (arguments.GetValue(status))
            {
                var pending = await installer.PendingAsync(cancellationToken);
                Output.Line(pending.Count == 0 ? "The schema is current." : $"Missing: {string.Join(", ", pending)}. Run: flowstone migrate");
                return pending.Count == 0 ? 0 : 1;
            }
            var applied = await installer.RunAsync(cancellationToken);
            Output.Line(applied.Count == 0 ? "The schema was current; roles, policies and partitions are checked." : $"Applied: {string.Join(", ", applied)}");

            // A server does it too, but not every platform runs one.
            await using var store = new FlowstoneStore(FlowstoneStore.Connect(OpenStore.OptionsFor(administrator)), TimeProvider.System);
            if (await store.WorkflowIndex.RunAsync(cancellationToken) is > 0 and var indexed)
                Output.Line($"{indexed:N0} workflows can be searched now.");
            return 0;
        });
        return command;
    }
}
