using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Flowstone.Credentials;
using Flowstone.Tenancy;

namespace Flowstone.CrashTest;

/// <summary>Very many sealed values get another data key under readers and writers, while the process that does it is killed three times: no read fails, and none is left on the old key.</summary>
sealed class RotationCampaign(CampaignOptions options)
{
    const int Versions = 10, Readers = 4, Writers = 2, Kills = 3;

    // What is left on the old key when the next kill comes.
    static readonly double[] killAt = [0.75, 0.5, 0.25];

    long reads, writes, failures, peakKb;

    public async Task<bool> RunAsync(CancellationToken stop)
    {
        await using var stage = await Stage.OpenAsync(stop);
        var (tenant, _) = await stage.NewTenantAsync("rotation");
        var credentials = await FillAsync(stage, tenant, stop);
        var old = (await stage.Store.KeyRotation.ReportAsync(tenant.TenantId, stop)).Keys.Single().Id;
        Console.WriteLine($"{options.Count:N0} values are sealed with {old}");

        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var load = Enumerable.Range(0, Readers).Select(_ => ReadAsync(tenant, credentials, over.Token)).Concat(Enumerable.Range(0, Writers).Select(_ => WriteAsync(tenant, credentials, over.Token))).ToArray();
        var began = Stopwatch.StartNew();
        for (var run = 0; run <= Kills; run++)
        {
            using var rotation = Start(stage, resume: run > 0);
            var limit = run < Kills ? (long)(options.Count * killAt[run]) : -1;
            while (!rotation.HasExited && await LeftAsync(stage, tenant, old) > limit)
            {
                peakKb = Math.Max(peakKb, Peak(rotation.Id));
                await Task.Delay(200, stop);
            }
            if (run < Kills)
            {
                Posix.Kill(rotation.Id);
                Console.WriteLine($"killed with {await LeftAsync(stage, tenant, old):N0} values left");
            }
            await rotation.WaitForExitAsync(stop);
            if (run == Kills && rotation.ExitCode != 0)
                Interlocked.Increment(ref failures);
        }
        var took = began.Elapsed;
        await over.CancelAsync();
        await Task.WhenAll(load);

        var report = await stage.Store.KeyRotation.ReportAsync(tenant.TenantId, stop);
        var left = await LeftAsync(stage, tenant, old);
        foreach (var (what, number) in new (string, string)[]
        {
            ("values rotated", $"{options.Count:N0} in {took.TotalSeconds:N0} s, {Kills} kills"), ("reads meanwhile", $"{reads:N0}"), ("secrets set meanwhile", $"{writes:N0}"), ("memory of the rotation, at most", $"{peakKb / 1024:N0} MB"), ("", ""),
            ("reads or writes that failed", $"{failures:N0}"), ("values left on the old key, by SQL", $"{left:N0}"), ("the same by the report", $"{report.Behind:N0}"), ("values that are not there", $"{options.Count + writes - report.Values.Sum(v => v.Values):N0}"),
        })
            Console.WriteLine($"{what,-36}{number}");
        return failures == 0 && reads > 0 && writes > 0 && left == 0 && report.Behind == 0 && report.Values.Sum(v => v.Values) == options.Count + writes && peakKb is > 0 and < 300 * 1024;
    }

    static string Secret(int credential, int version) => $"sk_live_{credential}_{version}_{new string('x', 200)}";

    async Task<List<Id<Credential>>> FillAsync(Stage stage, TenantScope tenant, CancellationToken stop)
    {
        const string Insert = """
            with made as (
                insert into flowstone.credentials (tenant_id, id, name, type, visibility, active, version, created_at, updated_at) select $1, id, 'Shop', 'API_KEY', 'PRIVATE', true, $3, now(), now() from unnest($2) id)
            insert into flowstone.credential_versions (tenant_id, id, credential_id, number, secret, created_at) select $1, v.id, v.credential, v.number, v.secret, now() from unnest($4, $5, $6, $7) v (id, credential, number, secret)
            """;
        var made = new List<Id<Credential>>();
        while (made.Count * Versions < options.Count)
        {
            var ids = Enumerable.Range(0, Math.Min(200, (options.Count / Versions) - made.Count)).Select(_ => Id<Credential>.New(TimeProvider.System)).ToList();
            using var key = await stage.Store.Secrets.Keys.CurrentAsync(tenant.TenantId, ids.Count * Versions, stop);
            var rows = ids.SelectMany((id, i) => Enumerable.Range(1, Versions).Select(number =>
            {
                var version = Id<Credential>.New(TimeProvider.System).Value;
                var plain = JsonSerializer.SerializeToUtf8Bytes(new { apiKey = Secret(made.Count + i, number) });
                return (Id: version, Credential: id.Value, Number: number, Secret: Seal.Close(key, new(tenant.TenantId, "credential_versions.secret", version), plain));
            })).ToList();
            await stage.QueryAsync(Insert, _ => 0, tenant.TenantId.Value, ids.Select(id => id.Value).ToArray(), Versions,
                rows.Select(r => r.Id).ToArray(), rows.Select(r => r.Credential).ToArray(), rows.Select(r => r.Number).ToArray(), rows.Select(r => r.Secret).ToArray());
            made.AddRange(ids);
        }
        return made;
    }

    async Task ReadAsync(TenantScope tenant, List<Id<Credential>> credentials, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var (credential, version) = (Random.Shared.Next(credentials.Count), Random.Shared.Next(1, Versions + 1));
            try
            {
                var secret = (await tenant.Credentials.RevealAsync(credentials[credential], version, cancellationToken: CancellationToken.None)).Secret.GetProperty("apiKey").GetString();
                if (secret != Secret(credential, version))
                    throw new InvalidOperationException("Another secret came.");
                Interlocked.Increment(ref reads);
            }
            catch (Exception error) when (error is FlowstoneException or InvalidOperationException)
            {
                Interlocked.Increment(ref failures);
                await Console.Error.WriteLineAsync(error.Message);
            }
        }
    }

    async Task WriteAsync(TenantScope tenant, List<Id<Credential>> credentials, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await tenant.Credentials.SetSecretAsync(credentials[Random.Shared.Next(credentials.Count)], JsonSerializer.SerializeToElement(new { apiKey = "another" }), cancellationToken: CancellationToken.None);
                Interlocked.Increment(ref writes);
            }
            catch (FlowstoneException error)
            {
                Interlocked.Increment(ref failures);
                await Console.Error.WriteLineAsync(error.Message);
            }
        }
    }

    static Process Start(Stage stage, bool resume)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in new[] { Path.Combine(AppContext.BaseDirectory, "Flowstone.Cli.dll"), "keys", "rotate", "--only", "rotation" }.Concat(resume ? ["--resume"] : []))
            start.ArgumentList.Add(argument);
        start.Environment["DATABASE_URL"] = stage.ConnectionString;
        start.Environment["FLOWSTONE_MASTER_KEY"] = Stage.MasterKey;
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, line) => Console.WriteLine(line.Data);
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    static Task<long> LeftAsync(Stage stage, TenantScope tenant, Id<DataKey> key)
        => stage.NumberAsync("select count(*) from flowstone.credential_versions where tenant_id = $1 and substring(secret from 2 for 16) = uuid_send($2)", tenant.TenantId.Value, key.Value);

    /// <summary>In KB; 0 once it is gone.</summary>
    static long Peak(int pid)
    {
        try
        {
            return long.Parse(File.ReadLines($"/proc/{pid}/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            return 0;
        }
    }
}
