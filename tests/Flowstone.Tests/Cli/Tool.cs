using System.Diagnostics;
using System.Text;
using Flowstone.Cli;

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
        foreach (var ours in new[] { "DATABASE_URL", "FLOWSTONE_MASTER_KEY", "ENCRYPTION_KEY" })
            start.Environment.Remove(ours);
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

    /// <summary>The same in this process, with an environment like theirs: a process of its own takes most of its time to start.</summary>
    public static async Task<Result> CallAsync(params string[] arguments)
    {
        Listener.Attach();
        var (output, error) = (new StringWriter(), new StringWriter());
        (Listener.Output.Value, Listener.Error.Value) = (output, error);
        var exitCode = await FlowstoneCommand.RunAsync(arguments);
        return new Result(exitCode, output.ToString(), error.ToString());
    }
}

/// <summary>Tells what each command that runs in this process says from what others do.</summary>
sealed class Listener(TextWriter otherwise, AsyncLocal<TextWriter?> here) : TextWriter
{
    public static readonly AsyncLocal<TextWriter?> Output = new(), Error = new();

    static readonly Lazy<bool> attached = new(() =>
    {
        Environment.SetEnvironmentVariable("DATABASE_URL", null);
        Environment.SetEnvironmentVariable("FLOWSTONE_DATA", "/nowhere");
        Environment.SetEnvironmentVariable("FLOWSTONE_MASTER_KEY", TestKeys.Text);
        Environment.SetEnvironmentVariable("ENCRYPTION_KEY", "short");
        Console.SetOut(new Listener(Console.Out, Output));
        Console.SetError(new Listener(Console.Error, Error));
        return true;
    });

    public static void Attach() => Assert.True(attached.Value);

    TextWriter Current => here.Value ?? otherwise;

    public override Encoding Encoding => otherwise.Encoding;
    public override void Write(char value) => Current.Write(value);
    public override void Write(string? value) => Current.Write(value);
    public override void Write(char[] buffer, int index, int count) => Current.Write(buffer, index, count);
    public override void WriteLine(string? value) => Current.WriteLine(value);
    public override void Flush() => Current.Flush();
}
