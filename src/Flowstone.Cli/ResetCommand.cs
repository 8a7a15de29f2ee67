using System.CommandLine;

namespace Flowstone.Cli;

static class ResetCommand
{
    public static Command Create()
    {
        var yes = new Option<bool>("--yes") { Description = "Do it. Without this nothing happens." };
        var command = new Command("reset", "Throw away everything in Flowstone's own PostgreSQL. Refuses to touch a database that was given.") { yes }.WithExample("flowstone reset --yes");
        command.SetAction(async (arguments, cancellationToken) =>
        {
            if (OpenStore.GivenDatabase(arguments) is not null)
                throw new InvalidInputException("--database", "reset only works on Flowstone's own PostgreSQL: drop a database of yours yourself.");
            if (!arguments.GetValue(yes))
                throw new InvalidInputException("--yes", $"is needed: this deletes every tenant, workflow and execution in {OpenStore.DataFolder(arguments)}.");
            await using var postgres = await OpenStore.StartOwnAsync(arguments, cancellationToken);
            if (postgres.Joined)
                throw new ConflictException("Another flowstone process uses the database: stop it first.");
            await Data.DatabaseInstaller.DropDatabaseAsync(postgres.ConnectionString() + ";Pooling=false", OpenStore.DatabaseName, cancellationToken);
            await OpenStore.InstallAsync(postgres, cancellationToken);
            Output.Line("The database is empty again.");
        });
        return command;
    }
}
