using System.Text;

namespace Flowstone;

/// <summary>The server's log, kept beside the data: one file, and the one before it.</summary>
sealed record ServerLog(string File)
{
    const long RotateAt = 10 << 20;
    const int TailLines = 20;

    /// <summary>Sets a big log aside. Only while no server runs: it keeps the file open.</summary>
    public void Rotate()
    {
        if (Length > RotateAt)
            System.IO.File.Move(File, File + ".1", overwrite: true);
    }

    public long Length => new FileInfo(File) is { Exists: true } file ? file.Length : 0;

    /// <summary>The last lines that were written after a position.</summary>
    public async Task<string> TailAsync(long after, CancellationToken cancellationToken)
    {
        if (!System.IO.File.Exists(File))
            return "";
        await using var file = new FileStream(File, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Position = Math.Max(after, file.Length - 64 * 1024);   // enough for the last lines, however much was logged
        using var reader = new StreamReader(file, Encoding.UTF8);
        var lines = (await reader.ReadToEndAsync(cancellationToken)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return string.Join(Environment.NewLine, lines.TakeLast(TailLines));
    }

    /// <summary>Adds a line of ours. Never makes the file: it must belong to the cluster's user.</summary>
    public async Task NoteAsync(string text)
    {
        if (System.IO.File.Exists(File))
            await System.IO.File.AppendAllTextAsync(File, $"flowstone: {text}{Environment.NewLine}");
    }
}
