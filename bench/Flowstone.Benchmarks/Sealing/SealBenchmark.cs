using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Flowstone.Credentials;

namespace Flowstone.Benchmarks.Sealing;

/// <summary>
/// What does it cost to seal and to open 1 KB, beside bare AesGcm (a nonce of its own draw, the result, nothing bound)? The sealer is what repositories
/// call, with the tenant's key in memory.
/// </summary>
static class SealBenchmark
{
    const int Size = 1024;
    const int Batch = 1_000;

    sealed record Side(string Name, Action<int> Seal, Action<int> Open)
    {
        public List<double> SealNanoseconds { get; } = [];
        public List<double> OpenNanoseconds { get; } = [];
    }

    public static async Task RunAsync(Settings settings)
    {
        await using var server = await BenchmarkServer.StartAsync(settings.Database);
        var report = await Report.BeginAsync("seal", settings, server);
        await server.CreateFlowstoneDatabaseAsync("flowstone_seal");
        var ring = new LocalKeyRing([new LocalKey(RandomNumberGenerator.GetBytes(32))]);
        var options = new FlowstoneOptions { ConnectionString = server.Application("flowstone_seal"), PoolMin = 0 };
        await using var store = new FlowstoneStore(Microsoft.Extensions.Options.Options.Create(options), TimeProvider.System, keys: ring);
        var tenant = await store.Tenants.CreateAsync("seal", "Seal");
        var place = new SealedPlace(tenant.Id, "credentials.secret", tenant.Id.Value);
        using var key = new SealingKey(Id<DataKey>.New(TimeProvider.System), RandomNumberGenerator.GetBytes(32));
        var secret = RandomNumberGenerator.GetBytes(Size);

        Side[] sides = [Bare(secret), Format(key, place, secret), await SealerAsync(store.Secrets, place, secret)];
        foreach (var side in sides.Concat(sides))   // twice, so that all is compiled in full
            Measure(side, TimeSpan.FromSeconds(1));
        foreach (var side in sides)
        {
            side.SealNanoseconds.Clear();
            side.OpenNanoseconds.Clear();
        }
        for (var round = 0; round < settings.Rounds; round++)
            foreach (var side in round % 2 == 0 ? sides : [.. sides.Reverse()])
                Measure(side, TimeSpan.FromSeconds(settings.Seconds / 5));

        var table = new Table("1 KB", "seal ns", "× bare", "bytes beyond the result", "open ns", "× bare", "bytes beyond the result");
        foreach (var side in sides)
            table.Add(side.Name, Figures.Number(Figures.Median(side.SealNanoseconds)), Ratio(side.SealNanoseconds, sides[0].SealNanoseconds), Allocated(side.Seal, Overhead(side)),
                Figures.Number(Figures.Median(side.OpenNanoseconds)), Ratio(side.OpenNanoseconds, sides[0].OpenNanoseconds), Allocated(side.Open, 0));
        report.Add(table);
        await report.EndAsync();

        int Overhead(Side side) => side == sides[0] ? 28 : Seal.Overhead;
    }

    static Side Bare(byte[] secret)
    {
        var cipher = new AesGcm(RandomNumberGenerator.GetBytes(32), 16);
        var value = SealOne();
        return new("bare AesGcm", Repeat(() => SealOne()), Repeat(() =>
        {
            var result = new byte[value.Length - 28];
            cipher.Decrypt(value.AsSpan(0, 12), value.AsSpan(12, result.Length), value.AsSpan(12 + result.Length), result);
        }));

        byte[] SealOne()
        {
            var result = new byte[12 + secret.Length + 16];
            RandomNumberGenerator.Fill(result.AsSpan(0, 12));
            cipher.Encrypt(result.AsSpan(0, 12), secret, result.AsSpan(12, secret.Length), result.AsSpan(12 + secret.Length));
            return result;
        }
    }

    static Side Format(SealingKey key, SealedPlace place, byte[] secret)
    {
        var value = Seal.Close(key, place, secret);
        return new("Seal", Repeat(() => Seal.Close(key, place, secret)), Repeat(() => Seal.Open(key, place, value)));
    }

    static async Task<Side> SealerAsync(SecretSealer sealer, SealedPlace place, byte[] secret)
    {
        var value = await sealer.SealAsync(place, secret);
        return new("SecretSealer", Repeat(() => Done(sealer.SealAsync(place, secret))), Repeat(() => Done(sealer.OpenAsync(place, value))));

        // Once a block of uses, sealing asks the database.
        static void Done(ValueTask<byte[]> task) => _ = task.IsCompletedSuccessfully ? task.Result : task.AsTask().Result;
    }

    static Action<int> Repeat(Action once) => times =>
    {
        for (var i = 0; i < times; i++)
            once();
    };

    static void Measure(Side side, TimeSpan time)
    {
        side.SealNanoseconds.Add(Nanoseconds(side.Seal));
        side.OpenNanoseconds.Add(Nanoseconds(side.Open));

        // The median of batches: whatever else the machine does hits some of them.
        double Nanoseconds(Action<int> work)
        {
            var (batches, start) = (new List<double>(), Stopwatch.GetTimestamp());
            while (Stopwatch.GetElapsedTime(start) < time)
            {
                var before = Stopwatch.GetTimestamp();
                work(Batch);
                batches.Add(Stopwatch.GetElapsedTime(before).TotalNanoseconds / Batch);
            }
            return Figures.Median(batches);
        }
    }

    static string Allocated(Action<int> work, int overhead)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        _ = new byte[Size + overhead];
        var ofResult = GC.GetAllocatedBytesForCurrentThread() - before;
        before = GC.GetAllocatedBytesForCurrentThread();
        work(Batch);
        return (((double)(GC.GetAllocatedBytesForCurrentThread() - before) / Batch) - ofResult).ToString("0.0", CultureInfo.InvariantCulture);
    }

    static string Ratio(List<double> side, List<double> bare) => Figures.Ratio(Figures.Median(side.Zip(bare, (a, b) => a / b)));
}
