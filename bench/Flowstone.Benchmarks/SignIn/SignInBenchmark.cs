using System.Diagnostics;
using System.Globalization;
using Flowstone.Benchmarks.Runs;
using Flowstone.Tenancy;
using Flowstone.Users;
using Npgsql;

namespace Flowstone.Benchmarks.SignIn;

/// <summary>
/// Does the time of a refused sign-in tell whose address is known? And what does it cost to know a user by a session? One caller, in turns, so that whatever disturbs
/// the machine disturbs both.
/// </summary>
static class SignInBenchmark
{
    const int Tries = 2000, Users = 100, Validations = 20_000;

    public static async Task RunAsync(Settings settings)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("sign-in", settings, server);
        const string Name = "flowstone_sign_in";
        await server.CreateFlowstoneDatabaseAsync(Name);
        await using var store = RunsDatabase.Store(server, Name, pool: 1);
        var tenant = await store.Tenants.CreateAsync("bench", "Benchmark");
        var hash = Flowstone.Users.SignIn.HashPassword("correct horse");
        var users = await store.Tenant(tenant.Id, Actor.System("benchmark")).Users.CreateManyAsync(
            [.. Enumerable.Range(0, Users).Select(i => new NewUser { Email = $"known{i}@example.com", PasswordHash = hash })]);

        report.Add(await GuessAsync(store));
        await using var bare = NpgsqlDataSource.Create(server.Application(Name) + ";Pooling=true;Maximum Pool Size=1;Max Auto Prepare=8;No Reset On Close=true");
        report.Add(await ValidateAsync(store, bare, (await store.SignIn.OpenAsync(tenant.Id, users[0].Id)).Token));
        await report.EndAsync();
    }

    /// <summary>Wrong passwords, each from a place of its own so that none is locked, for addresses that are somebody's and nobody's.</summary>
    static async Task<Table> GuessAsync(FlowstoneStore store)
    {
        var (known, unknown) = (new List<double>(), new List<double>());
        await TimeAsync(() => GuessAsync("known", -1));
        for (var i = 0; i < Tries / 2; i++)
        {
            var (first, second) = i % 2 == 0 ? ("known", "unknown") : ("unknown", "known");   // who goes first has no advantage
            foreach (var side in new[] { first, second })
                (side == "known" ? known : unknown).Add(await TimeAsync(() => GuessAsync(side, i)));
        }
        var table = new Table("a wrong password for", "tries", "p50 ms", "p99 ms", "p50 of known");
        foreach (var (name, times) in new[] { ("an address of a user", known), ("an address of nobody", unknown) })
            table.Add(name, times.Count.ToString(CultureInfo.InvariantCulture), Text(Percentile(times, 50)), Text(Percentile(times, 99)), Text(Percentile(times, 50) / Percentile(known, 50)));
        return table;

        async Task GuessAsync(string side, int i)
        {
            if (await store.SignIn.WithPasswordAsync($"{side}{(i + Users) % Users}@example.com", "wrong horse", new($"10.1.{(i + 256) / 256}.{(i + 256) % 256}")) is not null)
                throw new InvalidOperationException("A wrong password signed in.");
        }
    }

    static async Task<Table> ValidateAsync(FlowstoneStore store, NpgsqlDataSource bare, string token)
    {
        var (validated, selected) = (new List<double>(), new List<double>());
        for (var i = -1000; i < Validations; i++)
        {
            var ours = await TimeAsync(async () => _ = await store.SignIn.FindAsync(token) ?? throw new InvalidOperationException("The session has ended."));
            var theirs = await TimeAsync(async () =>
            {
                await using var command = bare.CreateCommand("select 1");
                await command.ExecuteScalarAsync();
            });
            if (i < 0)
                continue;   // warming up
            validated.Add(ours);
            selected.Add(theirs);
        }
        var table = new Table("one caller, in turns", "p50 ms", "p99 ms", "p50 more, ms");
        table.Add("a session is validated", Text(Percentile(validated, 50)), Text(Percentile(validated, 99)), Text(Percentile(validated, 50) - Percentile(selected, 50)));
        table.Add("a bare select", Text(Percentile(selected, 50)), Text(Percentile(selected, 99)), "");
        return table;
    }

    static async Task<double> TimeAsync(Func<Task> call)
    {
        var started = Stopwatch.GetTimestamp();
        await call();
        return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    }

    static double Percentile(List<double> times, int percentile) => times.Order().ElementAt(times.Count * percentile / 100);

    static string Text(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);
}
