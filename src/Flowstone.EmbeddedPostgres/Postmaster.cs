using System.Globalization;
using System.Net.Sockets;

namespace Flowstone;

/// <summary>
/// What a running server says of itself in postmaster.pid, line by line
/// (https://www.postgresql.org/docs/current/storage-file-layout.html; src/include/utils/pidfile.h).
/// </summary>
sealed record Postmaster(int Pid, int Port, string SocketFolder, string ListenAddress, string Status)
{
    static string FileIn(string data) => Path.Combine(data, "postmaster.pid");

    public bool IsReady => Status is "ready";

    /// <summary>The file's content, whether or not that server still runs. Null: no file, or one that is just being written.</summary>
    public static Postmaster? Read(string data)
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(FileIn(data));
        }
        catch (Exception missing) when (missing is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        return lines.Length > 0 && int.TryParse(lines[0], CultureInfo.InvariantCulture, out var pid)
            ? new Postmaster(Math.Abs(pid), int.TryParse(Line(3), out var port) ? port : 0, Line(4), Line(5), Line(7))
            : null;

        string Line(int index) => lines.Length > index ? lines[index].Trim() : "";
    }

    /// <summary>Whether a server answers on the socket: one in another container has no pid that we could look at.</summary>
    public async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        var socket = Path.Combine(SocketFolder, $".s.PGSQL.{Port}");
        if (!File.Exists(socket))
            return false;
        using var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellationToken);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Removes the file of a server that is gone, lest a reused pid keep the next one from starting.</summary>
    public static void Forget(string data) => File.Delete(FileIn(data));
}
