using System.Globalization;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Npgsql;

namespace Flowstone.CrashTest;

/// <summary>Shows one time until it is told another.</summary>
sealed class SimulatedClock : TimeProvider
{
    public DateTimeOffset Time { get; set; }

    public override DateTimeOffset GetUtcNow() => Time;
}

/// <summary>A clock that is off.</summary>
sealed class SkewedClock(TimeSpan skew) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => System.Now() + skew;
}

/// <summary>A process that fires schedules until it is killed: its own clock is off, and the database's is simulated.</summary>
static class SchedulerMain
{
    public static async Task<int> RunAsync(string database, string skewSeconds)
    {
        var (clock, simulated) = (new SkewedClock(TimeSpan.FromSeconds(double.Parse(skewSeconds, CultureInfo.InvariantCulture))), new SimulatedClock());
        await using var source = NpgsqlDataSource.Create($"{database};Maximum Pool Size=4;Timeout=5;Command Timeout=20");
        await using var store = new FlowstoneStore(source, clock);
        var runner = new ScheduleRunner(store.App, new Database(source, TenantPolicies.WorkerRole), store.Tenants, id => store.Tenant(id, Actor.System("schedule")).Executions, clock, simulated) { Grace = TimeSpan.FromHours(2) };   // time goes by in steps
        while (true)
        {
            var pause = TimeSpan.Zero;
            try
            {
                await using (var ask = source.CreateCommand("select at from public.simulated_time"))
                    simulated.Time = new DateTimeOffset((DateTime)(await ask.ExecuteScalarAsync())!);
                var run = await runner.RunOnceAsync();
                if (run.Fired + run.Missed + run.Skipped == 0)
                    pause = TimeSpan.FromMilliseconds(20);
            }
            catch (Exception error) when (error is NpgsqlException or UnavailableException or ConflictException)   // it is restarted
            {
                pause = TimeSpan.FromMilliseconds(300);
            }
            await Task.Delay(pause);
        }
    }
}
