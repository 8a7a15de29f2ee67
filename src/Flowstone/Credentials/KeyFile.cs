using System.Runtime.InteropServices;
using System.Text;

namespace Flowstone.Credentials;

/// <summary>
/// A file with one master key a line, 32 bytes in base64: the first is current, the others open what is older. What follows a <c>#</c> is a
/// comment. Nobody but its owner may read it.
/// </summary>
static class KeyFile
{
    public const string Setting = "FLOWSTONE_KEY_FILE";

    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    const int Longest = 65_536;

    /// <exception cref="InvalidInputException">It cannot be read, others can read it, or it holds no key.</exception>
    public static IReadOnlyList<LocalKey> Read(string path)
    {
        var keys = new List<LocalKey>();
        var number = 0;
        foreach (var line in ReadText(path).Split('\n'))
        {
            number++;
            if (line.Split('#')[0].Trim() is { Length: > 0 } text && LocalKey.Parse($"{Setting}: line {number} of {path}", text) is var key && keys.TrueForAll(known => known.Id != key.Id))
                keys.Add(key);
        }
        return keys.Count > 0 ? keys : throw new InvalidInputException(Setting, $"{path} holds no key. {KeySource.Mend}");
    }

    /// <summary>Makes a file with a new key, unless there is one: that is never overwritten, nor seen half written.</summary>
    /// <returns>False if there is one.</returns>
    public static bool Create(string path)
    {
        if (File.Exists(path))
            return false;
        var draft = $"{path}.{Path.GetRandomFileName()}";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = OwnerOnly;
            using (var file = new FileStream(draft, options))
            {
                file.Write(Encoding.ASCII.GetBytes($"""
                    # Flowstone's master key. Keep a copy elsewhere: without it, all secrets are lost.
                    {Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32))}

                    """));
                file.Flush(flushToDisk: true);
            }
            Publish(draft, path);
            return true;
        }
        catch (IOException) when (File.Exists(path))
        {
            return false;   // another process made it at the same moment
        }
        finally
        {
            File.Delete(draft);
        }
    }

    // Whoever comes second fails. File.Move looks first and renames then, so the second of two at one moment would replace a key that has sealed something.
    static void Publish(string draft, string path)
    {
        if (OperatingSystem.IsWindows())
            File.Move(draft, path, overwrite: false);
        else if (Link(draft, path) != 0)
            throw new IOException($"{path} could not be made: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    [DllImport("libc", EntryPoint = "link", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    static extern int Link(string from, string to);

    static string ReadText(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(file.SafeFileHandle) & ~OwnerOnly) is not UnixFileMode.None and var others)
                throw new InvalidInputException(Setting, $"{path} is open to others than its owner (more than mode 600: {others}). Close it with: chmod 600 {path}. If others could read it, use a new key.");
            if (file.Length > Longest)
                throw new InvalidInputException(Setting, $"{path} has {file.Length:N0} bytes: that is no key file. {KeySource.Mend}");
            using var reader = new StreamReader(file);
            return reader.ReadToEnd();
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidInputException(Setting, $"{path} is not there. If secrets were sealed before, put the file back from its copy; else: {KeySource.Mend}");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new InvalidInputException(Setting, $"{path} cannot be read: {error.Message}");
        }
    }
}
