using System.Text;
using System.Threading.Channels;
using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>
/// Appends every event that the database acknowledged to a file, a line each. Unbuffered: what was written is the operating system's and
/// survives the process. Every line ends in <c>;</c>, so that one torn by a crash is known. The format: docs/simulate.md, "Journal".
/// </summary>
sealed class Journal : IAsyncDisposable
{
    const int BatchBytes = 64 * 1024;

    readonly Channel<string> lines = Channel.CreateUnbounded<string>(new UnboundedChannelOptions { SingleReader = true });
    readonly FileStream file;
    readonly Task writing;

    Journal(FileStream file)
    {
        this.file = file;
        writing = WriteAsync();
    }

    public static Journal Append(string path, string session, SimulationOptions options)
    {
        // Read and write, to see whether the last line of an earlier session was torn.
        var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        if (file.Length > 0)
        {
            file.Seek(-1, SeekOrigin.End);
            if (file.ReadByte() != '\n')
                file.WriteByte((byte)'\n');
        }
        var journal = new Journal(file);
        journal.Add($"begin {session} {options.Seed} {options.FailureRate:R} {options.MaxAttempts};\n");
        return journal;
    }

    public void Started(StartedRun run) => Add($"start {run.Tenant} {run.Execution} {run.Workflow} {run.Version} {run.Ordinal};\n");

    public void Step(Execution execution, int node, NodeFinish finish)
        => Add($"step {execution.TenantId} {execution.Id} {node} {finish.Iteration} {finish.Attempt} {finish.Status};\n");

    public void Finished(Execution execution, ExecutionStatus status) => Add($"finish {execution.TenantId} {execution.Id} {status};\n");

    void Add(FormattableString line) => lines.Writer.TryWrite(FormattableString.Invariant(line));

    async Task WriteAsync()
    {
        var batch = new StringBuilder();
        while (await lines.Reader.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Length < BatchBytes && lines.Reader.TryRead(out var line))
                batch.Append(line);
            await file.WriteAsync(Encoding.ASCII.GetBytes(batch.ToString()));
        }
    }

    public async ValueTask DisposeAsync()
    {
        lines.Writer.TryComplete();
        try
        {
            await writing;
        }
        finally
        {
            await file.DisposeAsync();
        }
    }
}
