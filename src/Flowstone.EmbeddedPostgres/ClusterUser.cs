using System.ComponentModel;
using System.Diagnostics;

namespace Flowstone;

/// <summary>The OS user who owns the cluster's files and runs its programs: oneself, or <c>postgres</c> when we are root.</summary>
sealed record ClusterUser(string Name, bool IsAnother)
{
    // PostgreSQL refuses to run as root. Its packages make this user.
    public static ClusterUser Current { get; } =
        Environment.IsPrivilegedProcess ? new("postgres", IsAnother: true) : new(Environment.UserName, IsAnother: false);

    /// <summary>Runs a program as this user, to its end.</summary>
    public Task<Finished> RunAsync(string program, IEnumerable<string> arguments, string workingFolder, CancellationToken cancellationToken)
        => IsAnother
            ? RunAsSelfAsync("setpriv", ["--reuid=" + Name, "--regid=" + Name, "--init-groups", "--", program, .. arguments], workingFolder, cancellationToken)
            : RunAsSelfAsync(program, arguments, workingFolder, cancellationToken);

    /// <summary>Runs a program as ourselves, to its end. Cancelling ends it and its children.</summary>
    public static async Task<Finished> RunAsSelfAsync(
        string program, IEnumerable<string> arguments, string workingFolder, CancellationToken cancellationToken)
    {
        using var process = Start(program, arguments, workingFolder);
        process.StandardInput.Close();
        var texts = Task.WhenAll(
            process.StandardOutput.ReadToEndAsync(cancellationToken), process.StandardError.ReadToEndAsync(cancellationToken));
        try
        {
            await process.WaitForExitAsync(cancellationToken);
            return new Finished(process.ExitCode, string.Concat(await texts));
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>Who owns a path, and its mode in octal. Of a symbolic link: the link's own.</summary>
    public static async Task<(string Mode, string Owner)> OwnerOfAsync(string path, CancellationToken cancellationToken)
    {
        // .NET can not tell a file's owner, and the layout of C's struct stat differs by machine.
        string[] format = OperatingSystem.IsMacOS() ? ["-f", "%Lp %Su"] : ["-c", "%a %U"];
        var stat = await RunAsSelfAsync("stat", [.. format, "--", path], "/", cancellationToken);
        if (stat.ExitCode != 0 && !Directory.Exists(path))
            throw new DirectoryNotFoundException(path);
        if (stat.ExitCode != 0)
            throw new EmbeddedPostgresException($"The owner of {path} cannot be told: {stat.Output.Trim()}");
        var words = stat.Output.Trim().Split(' ', 2);
        return (words[0], words[1]);
    }

    static Process Start(string program, IEnumerable<string> arguments, string workingFolder)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = workingFolder,   // ours may be closed to the cluster's user, and PostgreSQL stops at that
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // PGDATA, PGPORT, PGOPTIONS, … would silently point the programs at another cluster.
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("PG", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(name);
        start.Environment["LC_ALL"] = "C";   // messages in English, so that they can be searched for and read

        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception cause)
        {
            var package = program is "setpriv" ? " (package util-linux; or run as an ordinary user instead of root)" : "";
            throw new EmbeddedPostgresException($"The program {program} cannot be started{package}: {cause.Message}", cause);
        }
    }
}

/// <summary>How a program ended, and what it wrote.</summary>
sealed record Finished(int ExitCode, string Output);
