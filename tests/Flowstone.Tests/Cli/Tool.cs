using System.Diagnostics;

namespace Flowstone.Tests.Cli;

/// <summary>The command line tool as its users have it: a process with arguments, output and an exit code.</summary>
static class Tool
{
    public sealed record Result(int ExitCode, string Output, string Error);

    /// <param name="data">The folder of an embedded PostgreSQL; null for commands on a given database.</param>
    public static Process Start(string? data, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Flowstone.Cli.dll"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment.Remove("DATABASE_URL");
        start.Environment["FLOWSTONE_DATA"] = data ?? "/nowhere";
        if (data is null)
            (start.Environment["FLOWSTONE_MASTER_KEY"], start.Environment["ENCRYPTION_KEY"]) = (TestKeys.Text, "short");
        return Process.Start(start)!;
    }

    public static async Task<Result> RunAsync(string? data, params string[] arguments)
    {
        using var process = Start(data, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new Result(process.ExitCode, await output, await error);
    }
}
