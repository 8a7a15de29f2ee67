using System.Diagnostics;

namespace Flowstone.CrashTest;

/// <summary>A worker as the operating system knows it.</summary>
sealed class WorkerProcess : IAsyncDisposable
{
    readonly Process process;
    readonly int id;
    readonly Task reading;
    readonly TaskCompletionSource working = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Lock gate = new();
    bool dead;
    int paused;

    WorkerProcess(Process process, AcknowledgedWrites writes)
    {
        (this.process, id) = (process, process.Id);
        reading = ReadAsync(writes);
    }

    public static WorkerProcess Start(WorkerSettings settings, AcknowledgedWrites writes)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet")
            start.ArgumentList.Add(typeof(WorkerProcess).Assembly.Location);
        start.ArgumentList.Add("worker");
        start.Environment["DOTNET_TieredPGO"] = "0";   // it does not live long enough
        start.Environment["DOTNET_gcServer"] = "0";
        settings.WriteTo(start.Environment);
        return new WorkerProcess(Process.Start(start)!, writes);
    }

    /// <summary>It has written something.</summary>
    public Task Working => working.Task;

    /// <summary>All that it wrote has been read.</summary>
    public async Task ExitedAsync()
    {
        await process.WaitForExitAsync();
        lock (gate)
            dead = true;
        await reading;
    }

    public void Kill() => Send(Posix.Kill);

    /// <summary>Nothing goes to a process that was waited for: its number may be another's.</summary>
    bool Send(Action<int> signal)
    {
        lock (gate)
        {
            if (!dead && !process.HasExited)
                signal(id);
            return !dead;
        }
    }

    /// <returns>False if it is paused already, or dead.</returns>
    public async Task<bool> PauseAsync(TimeSpan time)
    {
        if (Interlocked.Exchange(ref paused, 1) == 1 || !Send(Posix.Pause))
            return false;
        await Task.Delay(time);
        Volatile.Write(ref paused, 0);
        return Send(Posix.Resume);
    }

    /// <summary>Lets it come to its end.</summary>
    public async Task StopAsync()
    {
        process.StandardInput.Close();
        await ExitedAsync();
    }

    async Task ReadAsync(AcknowledgedWrites writes)
    {
        var errors = process.StandardError.ReadToEndAsync();
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            writes.Add(line);
            working.TrySetResult();
        }
        if (await errors is { Length: > 0 } text)
            await Console.Error.WriteLineAsync(text);
    }

    public async ValueTask DisposeAsync()
    {
        Kill();
        await ExitedAsync();
        process.Dispose();
    }
}
