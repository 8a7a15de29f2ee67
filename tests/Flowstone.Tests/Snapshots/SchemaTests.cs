using System.Diagnostics;
using System.Text.RegularExpressions;
using Npgsql;

namespace Flowstone.Tests.Snapshots;

[Trait("Kind", "Snapshot")]
public sealed partial class SchemaTests(TestDatabase database)
{
    [Fact]
    public async Task The_schema_is_as_reviewed()
    {
        var major = int.Parse((await database.ScalarAsync<string>("select current_setting('server_version_num')"))[..^4], null);
        Assert.SkipUnless(major is >= 15 and <= 17, $"PostgreSQL {major} may write the schema in other words.");

        var server = new NpgsqlConnectionStringBuilder(database.SuperuserConnectionString());
        var start = new ProcessStartInfo(Path.Combine(database.Binaries, "pg_dump")) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in new[] { "--schema-only", "--no-owner", "--schema=flowstone", $"--host={server.Host}", $"--port={server.Port}", $"--username={server.Username}", "--no-password", server.Database! })
            start.ArgumentList.Add(argument);
        using var dump = Process.Start(start)!;
        var errors = dump.StandardError.ReadToEndAsync();
        var schema = await dump.StandardOutput.ReadToEndAsync();
        await dump.WaitForExitAsync();
        Assert.True(dump.ExitCode == 0, await errors);

        Snapshot.Match("src/Flowstone/Data/schema.sql", Normal(schema));
    }

    // Without what differs between versions and runs: comments, settings, the random word of \restrict.
    static string Normal(string dump)
        => Blank().Replace(Noise().Replace(dump, ""), "\n\n").Trim() + "\n";

    [GeneratedRegex(@"^(--.*|SET [a-z_]+ = .*;|SELECT pg_catalog\.set_config.*;|\\(un)?restrict.*)\n", RegexOptions.Multiline)]
    private static partial Regex Noise();

    [GeneratedRegex(@"\n{3,}")]
    private static partial Regex Blank();
}
