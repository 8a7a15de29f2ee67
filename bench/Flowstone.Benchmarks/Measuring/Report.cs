using System.Globalization;
using System.Text.RegularExpressions;

namespace Flowstone.Benchmarks;

/// <summary>What a benchmark found: on the screen, and with <c>--save</c> as its section of bench/results.md.</summary>
sealed class Report
{
    readonly string name;
    readonly Settings settings;
    readonly string machine;
    readonly List<string> parts = [];

    Report(string name, Settings settings, string machine) => (this.name, this.settings, this.machine) = (name, settings, machine);

    public static async Task<Report> BeginAsync(string name, Settings settings, BenchmarkServer server)
    {
        var report = new Report(name, settings, $"{Machine.Describe()}. {await server.DescribeAsync()}.");
        Console.WriteLine($"{report.machine} Load {Machine.Load()}.");
        return report;
    }

    public void Add(object part)
    {
        parts.Add(part.ToString()!.Trim());
        Console.WriteLine($"\n{parts[^1]}");
    }

    public async Task EndAsync()
    {
        if (!settings.Save)
            return;
        var file = Path.Combine(Folder, "results.md");
        var text = File.Exists(file) ? await File.ReadAllTextAsync(file) : "# Results\n\nWritten by `./dev bench NAME --save`; what the figures mean is in [docs/benchmarks.md](../docs/benchmarks.md).\n";
        var command = $"./dev bench {string.Join(' ', Environment.GetCommandLineArgs().Skip(1).Where(argument => argument != "--save"))}";
        var section = string.Create(CultureInfo.InvariantCulture, $"""
            <!-- {name} -->
            ## {name}

            `{command}`, {TimeProvider.System.Now():d MMMM yyyy}, {settings.Rounds} rounds of {settings.Seconds} s. {machine}

            {string.Join("\n\n", parts)}
            <!-- end of {name} -->
            """);
        var old = new Regex($"<!-- {Regex.Escape(name)} -->.*<!-- end of {Regex.Escape(name)} -->", RegexOptions.Singleline);
        await File.WriteAllTextAsync(file, old.IsMatch(text) ? old.Replace(text, section.Replace("$", "$$")) : $"{text.TrimEnd()}\n\n{section}\n");
        Console.WriteLine($"Written into {Path.GetRelativePath(Environment.CurrentDirectory, file)}.");
    }

    /// <summary>The checkout's folder bench.</summary>
    public static string Folder
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "Flowstone.slnx")))
                folder = folder.Parent ?? throw new DirectoryNotFoundException("The benchmarks run from a checkout.");
            return Path.Combine(folder.FullName, "bench");
        }
    }
}
