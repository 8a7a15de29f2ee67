using System.Globalization;

namespace Flowstone.CrashTest;

/// <summary>A write that a worker was told is done.</summary>
/// <param name="Kind">B: a step's start · E: a step's end · F: the execution's end · R: a late write was refused · L: a late write was accepted.</param>
readonly record struct Acknowledged(char Kind, Guid Execution, int Fence, int Node, int Attempt, string Text);

/// <summary>
/// What was acknowledged, as it comes through the pipes of the workers. A pipe keeps what was written to it when the writer dies; a line
/// that the kill tore is dropped, as its write was never acknowledged to anybody.
/// </summary>
sealed class AcknowledgedWrites
{
    readonly Lock gate = new();
    readonly List<Acknowledged> writes = [];
    readonly Dictionary<Guid, int> starts = [];

    public IReadOnlyList<Acknowledged> Writes => writes;

    /// <summary>Executions whose start was acknowledged, with their ordinals.</summary>
    public IReadOnlyDictionary<Guid, int> Starts => starts;

    public int Count(char kind)
    {
        lock (gate)
            return writes.Count(write => write.Kind == kind);
    }

    public int Finished
    {
        get
        {
            lock (gate)
                return finished;
        }
    }

    int finished;

    public void Started(Guid execution, int ordinal)
    {
        lock (gate)
            starts.Add(execution, ordinal);
    }

    public void Add(string line)
    {
        if (line.Split(' ') is not [[var kind], var execution, var fence, var node, var attempt, var text, ";"])
            return;
        var write = new Acknowledged(kind, Guid.Parse(execution), Number(fence), Number(node), Number(attempt), text);
        lock (gate)
        {
            writes.Add(write);
            if (kind == 'F')
                finished++;
        }
    }

    static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
