using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Flowstone.Tests.EmbeddedPostgres;

/// <summary>This test program, started once more, to use a cluster from a process of its own until it is told to leave.</summary>
sealed class OtherProcess : IDisposable
{
    const string Role = "FLOWSTONE_TEST_JOINS";
    readonly Process process;

    OtherProcess(Process process, string firstLine) => (this.process, FirstLine) = (process, firstLine);

    /// <summary>"started" or "joined".</summary>
    public string FirstLine { get; }

    public static async Task<OtherProcess> StartAsync(string folder, EmbeddedPostgresProfile profile = EmbeddedPostgresProfile.Durable)
    {
        var process = Run(folder, profile);
        return new OtherProcess(process, await process.StandardOutput.ReadLineAsync() ?? "ended");
    }

    /// <summary>Kills it, and its children, as soon as something holds.</summary>
    public static async Task KillWhenAsync(string folder, Func<bool> holds)
    {
        using var process = Run(folder, EmbeddedPostgresProfile.Durable);
        while (!holds())
            await Task.Delay(5);
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
    }

    static Process Run(string folder, EmbeddedPostgresProfile profile)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(OtherProcess).Assembly.Location])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment[Role] = $"{profile}:{folder}";
        return Process.Start(start)!;
    }

    public async Task LeaveAsync()
    {
        process.StandardInput.Close();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    public void Dispose()
    {
        if (!process.HasExited)
            process.Kill();
        process.Dispose();
    }

    // Before Main, which is xunit's. It blocks, because other threads may not run this assembly's code until it is through.
    [ModuleInitializer]
    internal static void Play()
    {
        if (Environment.GetEnvironmentVariable(Role)?.Split(':', 2) is not [var profile, var folder])
            return;
        var options = new EmbeddedPostgresOptions { Folder = folder, Profile = Enum.Parse<EmbeddedPostgresProfile>(profile) };
        var postgres = Flowstone.EmbeddedPostgres.StartAsync(options).GetAwaiter().GetResult();
        Console.WriteLine(postgres.Joined ? "joined" : "started");
        Console.In.ReadToEnd();
        postgres.StopAsync().GetAwaiter().GetResult();
        Environment.Exit(0);
    }
}
