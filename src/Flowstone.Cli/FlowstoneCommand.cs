using System.CommandLine;
using Spectre.Console;

namespace Flowstone.Cli;

/// <summary>The tool's commands, and what every one of them does with an error.</summary>
static class FlowstoneCommand
{
    public static RootCommand Create() => new RootCommand("Flowstone: the durable data layer of a workflow automation platform, on PostgreSQL.")
    {
        StoreOptions.Database,
        StoreOptions.Data,
        UpCommand.Create(),
        ServeCommand.Create(),
        MigrateCommand.Create(),
        ImportCommand.Create(),
        ExportCommand.Create(),
        SimulateCommand.Create(),
        TenantCommand.Create(),
        UserCommand.Create(),
        KeysCommand.Create(),
        RetentionCommand.Create(),
        ScheduleCommand.Create(),
        TrashCommand.Create(),
        ResetCommand.Create(),
        HealthCommand.Create(),
    }.ShowExamples();

    /// <returns>0 done, 1 failed or found problems, 2 wrong usage.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        var parsed = Create().Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors)
                Output.Error(error.Message);
            Output.Error($"See: flowstone {parsed.CommandResult.Command.Name.Replace("Flowstone.Cli", "", StringComparison.Ordinal)} --help".Replace("  ", " ", StringComparison.Ordinal));
            return 2;
        }
        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromMinutes(5) });
        }
        catch (InvalidInputException error)
        {
            Output.Error(error.Message);
            return 2;
        }
        catch (OperationCanceledException)
        {
            Output.Error("Stopped.");
            return 1;
        }
        catch (Exception error) when (error is FlowstoneException or EmbeddedPostgresException or ArgumentException or IOException or UnauthorizedAccessException)
        {
            Output.Error(error.Message);
            return 1;
        }
    }
}

/// <summary>Where a command's words go: results to standard output, the rest to standard error.</summary>
static class Output
{
    public static IAnsiConsole Progress { get; } = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });

    public static void Line(string text) => Console.Out.WriteLine(text);

    public static void Note(string text) => Console.Error.WriteLine(text);

    public static void Error(string text) => Console.Error.WriteLine(text);

    public static void Json(object value) => Console.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(value, Data.FlowstoneJson.Options));

    /// <summary>Shows a bar while the work reports its steps, if a terminal is attached.</summary>
    public static async Task<T> WithProgressAsync<T>(string title, Func<IProgress<(int Done, int Total)>, Task<T>> work)
    {
        if (!Progress.Profile.Out.IsTerminal || Console.IsErrorRedirected)
            return await work(new Ignore());
        return await Progress.Progress()
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .StartAsync(context => work(new Bar(context.AddTask(title))));
    }

    sealed class Bar(ProgressTask task) : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value)
        {
            task.MaxValue = value.Total;
            task.Value = value.Done;
        }
    }

    sealed class Ignore : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value)
        {
        }
    }
}
