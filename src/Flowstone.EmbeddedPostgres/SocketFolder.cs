using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Flowstone;

/// <summary>
/// Where the cluster's Unix socket is. Entering the folder is being the superuser (pg_hba.conf says trust),
/// so it is mode 0700 and belongs to the cluster's user.
/// </summary>
static partial class SocketFolder
{
    // struct sockaddr_un: 108 bytes on Linux, 104 on macOS, with the final zero.
    static readonly int LongestPath = OperatingSystem.IsMacOS() ? 103 : 107;

    /// <summary>The folder <c>socket</c> of the cluster; a short one among the temporary files where that would be too long.</summary>
    public static string For(ClusterFolder folder, int port)
    {
        var inside = Path.Combine(folder.Path, "socket");
        if (Fits(inside, port))
            return inside;
        var name = "flowstone-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder.Path)))[..16];
        var outside = Path.Combine(Path.GetTempPath(), name);
        return Fits(outside, port) ? outside : Path.Combine("/tmp", name);
    }

    /// <summary>Makes it, and clears it of what a killed server left. Only while no server runs.</summary>
    public static async Task PrepareAsync(string path, CancellationToken cancellationToken)
    {
        await FolderAccess.MakePrivateAsync(path, ClusterUser.Current, cancellationToken);
        // A stale .s.PGSQL.5432.lock whose pid is in use again would keep the server from starting.
        foreach (var stale in Directory.EnumerateFiles(path, ".s.PGSQL.*"))
            File.Delete(stale);
    }

    // Npgsql and PostgreSQL separate hosts by commas and have quoting rules of their own: plain characters avoid them all.
    static bool Fits(string path, int port)
        => Encoding.UTF8.GetByteCount($"{path}/.s.PGSQL.{port}") <= LongestPath && Plain().IsMatch(path);

    [GeneratedRegex("^[A-Za-z0-9/._-]+$")]
    private static partial Regex Plain();
}
