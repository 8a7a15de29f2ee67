using System.Runtime.InteropServices;

namespace Flowstone.CrashTest;

static partial class Posix
{
    const int Sigkill = 9, Sigcont = 18, Sigstop = 19;

    public static void Kill(int pid) => _ = Send(pid, Sigkill);

    public static void Pause(int pid) => _ = Send(pid, Sigstop);

    public static void Resume(int pid) => _ = Send(pid, Sigcont);

    /// <summary>Dies at this very instruction.</summary>
    public static void Die()
    {
        Kill(Environment.ProcessId);
        Thread.Sleep(Timeout.Infinite);
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Send(int pid, int signal);
}
