using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Flowstone.Tenancy;

namespace Flowstone.Executions;

/// <summary>Objects as files: written beside their place, flushed to the disk, then renamed, so that a file under its own name is whole.</summary>
sealed class FolderObjectStore(string root) : ObjectStore
{
    const UnixFileMode Folders = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    const UnixFileMode Files = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    readonly string root = Path.GetFullPath(root);

    public override async Task PutAsync(ObjectKey key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        var folder = Path.GetDirectoryName(path)!;
        try
        {
            if (!Directory.Exists(folder))
            {
                Make(Path.GetDirectoryName(folder)!);
                Make(folder);
            }
            if (!File.Exists(path))
            {
                var partial = $"{path}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16))}.partial";
                var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, BufferSize = 0 };
                if (!OperatingSystem.IsWindows())
                    options.UnixCreateMode = Files;
                await using (var file = new FileStream(partial, options))
                {
                    await file.WriteAsync(content, cancellationToken);
                    file.Flush(flushToDisk: true);
                }
                File.Move(partial, path, overwrite: true);
            }
            Flush(folder);   // also where another process has just put it, whose own flush may be yet to come
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unavailable("written", error);
        }
    }

    public override Task<Stream?> OpenAsync(ObjectKey key, CancellationToken cancellationToken)
    {
        try
        {
            return Task.FromResult<Stream?>(new FileStream(PathOf(key), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0, useAsync: true));
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromResult<Stream?>(null);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unavailable("read", error);
        }
    }

    public override async IAsyncEnumerable<ObjectKey> ListAsync(Id<Tenant> tenant, DateOnly before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var folder = Path.Combine(root, tenant.ToString());
        if (!Directory.Exists(folder))
            yield break;
        await Task.CompletedTask;
        foreach (var day in Directory.EnumerateDirectories(folder))
            foreach (var file in Directory.EnumerateFiles(day))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (ObjectKey.TryParse($"{tenant}/{Path.GetFileName(day)}/{Path.GetFileName(file)}") is { } key && key.Day < before)
                    yield return key;
            }
    }

    public override Task DeleteAsync(ObjectKey key, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        try
        {
            File.Delete(path);
            var day = Path.GetDirectoryName(path)!;
            if (!Directory.EnumerateFileSystemEntries(day).Any())
                Directory.Delete(day);
        }
        catch (DirectoryNotFoundException)
        {
            // Another sweeper was there.
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Unavailable("swept", error);
        }
        return Task.CompletedTask;
    }

    string PathOf(ObjectKey key) => Path.Combine(root, key.Text);

    // One by one: folders on the way would get everybody's rights.
    static void Make(string folder)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, Folders);
        Flush(Path.GetDirectoryName(folder)!);
    }

    /// <summary>A rename is on the disk only when its folder is, and .NET has no call for that.</summary>
    static void Flush(string folder)
    {
        if (OperatingSystem.IsWindows())
            return;
        var handle = Native.Open(folder, 0);
        if (handle < 0)
            throw new IOException($"{folder} cannot be opened: {Marshal.GetLastPInvokeErrorMessage()}.");
        try
        {
            if (Native.FlushToDisk(handle) < 0)
                throw new IOException($"{folder} cannot be flushed: {Marshal.GetLastPInvokeErrorMessage()}.");
        }
        finally
        {
            _ = Native.Close(handle);
        }
    }

    static class Native
    {
#pragma warning disable SYSLIB1054 // Generated code would need unsafe blocks for the sake of three calls.
        [DllImport("libc", EntryPoint = "open", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

        [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int FlushToDisk(int handle);

        [DllImport("libc", EntryPoint = "close")]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        public static extern int Close(int handle);
#pragma warning restore SYSLIB1054
    }
}
