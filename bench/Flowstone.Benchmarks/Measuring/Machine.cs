using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Flowstone.Benchmarks;

/// <summary>What the machine is, and what else it does.</summary>
static class Machine
{
    public static string Describe()
    {
        var model = Read("/proc/cpuinfo").Split('\n').FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim();
        return $"{Environment.ProcessorCount} cores ({model ?? RuntimeInformation.ProcessArchitecture.ToString()}), "
            + $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 30} GiB, {RuntimeInformation.OSDescription}";
    }

    public static string Load() => string.Join(' ', Read("/proc/loadavg").Split(' ').Take(3));

    /// <summary>Waits until a second is quiet, but not longer than that.</summary>
    public static async Task SettleAsync(TimeSpan patience)
    {
        var watch = Stopwatch.StartNew();
        do
        {
            var before = Ticks.Now();
            await Task.Delay(TimeSpan.FromSeconds(1));
            if (Ticks.Now().Since(before).Busy < 0.1)
                return;
        }
        while (watch.Elapsed < patience);
    }

    static string Read(string file) => File.Exists(file) ? File.ReadAllText(file) : "";

    /// <summary>The machine's clock ticks since its start.</summary>
    public readonly record struct Ticks(long Busy, long Stolen, long Total)
    {
        public static Ticks Now()
        {
            var fields = Read("/proc/stat").Split('\n')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1)
                .Select(field => long.Parse(field, CultureInfo.InvariantCulture)).ToArray();
            if (fields.Length < 8)
                return default;
            var (idle, total) = (fields[3] + fields[4], fields.Take(8).Sum());
            return new Ticks(total - idle, fields[7], total);
        }

        /// <returns>Shares of the machine, and its CPU time in all.</returns>
        public (double Busy, double Stolen, TimeSpan Capacity) Since(Ticks before)
        {
            var total = Math.Max(1, Total - before.Total);
            return ((double)(Busy - before.Busy) / total, (double)(Stolen - before.Stolen) / total, TimeSpan.FromSeconds(total / 100.0));
        }
    }

    /// <summary>CPU time of the PostgreSQL that a backend belongs to; zero where it runs elsewhere.</summary>
    public static TimeSpan PostgresTime(int backend)
    {
        if (Fields(backend) is not { } own || !Read($"/proc/{backend}/comm").StartsWith("postgres", StringComparison.Ordinal))
            return TimeSpan.Zero;
        var postmaster = (int)own[1];
        var ticks = Fields(postmaster) is { } ended ? ended[11] + ended[12] + ended[13] + ended[14] : 0;   // with those children that have ended
        foreach (var process in Process.GetProcesses())
            using (process)
                if (Fields(process.Id) is { } child && child[1] == postmaster)
                    ticks += child[11] + child[12];
        return TimeSpan.FromSeconds(ticks / 100.0);
    }

    // After the name, which may contain anything, from the state on: 1 is the parent, 11 to 14 the CPU time of itself and its children.
    static long[]? Fields(int process)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{process}/stat");
            return [0, .. text[(text.LastIndexOf(')') + 4)..].Split(' ').Take(16).Select(field => long.TryParse(field, CultureInfo.InvariantCulture, out var number) ? number : 0)];
        }
        catch (IOException)
        {
            return null;   // it has ended meanwhile
        }
    }
}
