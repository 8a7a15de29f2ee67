using Flowstone.Data;
using Flowstone.Tenancy;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Flowstone.Tests.Data;

public sealed class PartitionTests(TestDatabase database)
{
    [Fact]
    public void The_migrations_make_the_model()
    {
        using var db = new FlowstoneDb(FlowstoneDbOptions.CreateWithoutDatabase(), default);
        Assert.False(db.Database.HasPendingModelChanges(), "The model changed: ./dev migration NAME");
    }

    [Fact]
    public async Task Every_partitioned_table_gets_a_partition_a_week_once_with_bounds_that_fit_ids()
    {
        var monday = new DateTimeOffset(2031, 3, 3, 0, 0, 0, TimeSpan.Zero);
        await using var connection = await OpenAsync();
        const string Make = "select flowstone.create_partitions('2031-03-05 12:00+00', '2031-03-17 00:00+00')";
        Assert.Equal(10, await ScalarAsync<int>(connection, Make));
        Assert.Equal(0, await ScalarAsync<int>(connection, Make));

        foreach (var table in new[] { "executions", "node_executions", "payloads", "execution_attributes", "execution_signals" })
        {
            foreach (var (name, from) in new[] { ("20310303", monday), ("20310310", monday.AddDays(7)) })
            {
                var bounds = await ScalarAsync<string>(connection, $"select pg_get_expr(relpartbound, oid) from pg_class where oid = 'flowstone_partitions.{table}_{name}'::regclass");
                Assert.Equal($"FOR VALUES FROM ('{Lowest(from)}') TO ('{Lowest(from.AddDays(7))}')", bounds);
            }
        }

        // The last id of a week and the first of the next are on either side.
        var clock = new FixedClock(monday.AddDays(7).AddTicks(-10));
        Assert.True(string.CompareOrdinal(Id<Tenant>.New(clock).ToString(), Lowest(monday.AddDays(7))) < 0);
        clock = new FixedClock(monday.AddDays(7));
        Assert.True(string.CompareOrdinal(Id<Tenant>.New(clock).ToString(), Lowest(monday.AddDays(7))) > 0);

        static string Lowest(DateTimeOffset at)
        {
            var hex = at.ToUnixTimeMilliseconds().ToString("x12", null);
            return $"{hex[..8]}-{hex[8..]}-0000-0000-000000000000";
        }
    }

    [Fact]
    public async Task Partitions_leave_room_for_the_new_versions_of_the_rows_that_are_updated()
        => Assert.Equal("flowstone.executions fillfactor=50,flowstone.node_executions fillfactor=50,flowstone.payloads fillfactor=100", await database.ScalarAsync<string>("""
            select string_agg(distinct inhparent::regclass || ' ' || array_to_string(reloptions, ' '), ',') from pg_inherits join pg_class on oid = inhrelid
             where inhparent in ('flowstone.executions'::regclass, 'flowstone.node_executions'::regclass, 'flowstone.payloads'::regclass) and relkind = 'r'
            """));

    [Fact]
    public async Task A_start_beyond_the_horizon_says_what_to_do()
    {
        var tenant = await database.NewTenantAsync();
        var workflow = await tenant.CreateWorkflowAsync();
        tenant.Clock.Advance(TimeSpan.FromDays(400));

        var error = await Assert.ThrowsAsync<UnavailableException>(() => tenant.StartAsync(workflow));

        Assert.Contains("flowstone migrate", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_partitions_are_a_problem_of_health_and_are_made_by_many_at_once()
    {
        var copy = await database.NewDatabaseAsync();
        await using var store = new FlowstoneStore(FlowstoneStore.Connect(new FlowstoneOptions { ConnectionString = database.AppConnectionString(copy), PoolMin = 0 }), TimeProvider.System);
        Assert.Empty((await store.Health.CheckAsync()).Problems);
        foreach (var tables in new[] { "executions|node_executions|payloads|execution_attributes|execution_signals", "node_executions", "execution_signals" })
        {
            await database.ExecuteAsync(copy, $"""
                do $$ declare p text; begin
                    for p in select relname from pg_class where relnamespace = 'flowstone_partitions'::regnamespace and relkind = 'r' and relname ~ '^({tables})_\d' loop
                        execute format('drop table flowstone_partitions.%I', p);
                    end loop;
                end $$
                """);
            Assert.Contains("flowstone migrate", Assert.Single((await store.Health.CheckAsync()).Problems), StringComparison.Ordinal);

            var created = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => store.Health.CreatePartitionsAsync())));

            Assert.Equal(1, created.Count(number => number > 0));
            Assert.Empty((await store.Health.CheckAsync()).Problems);
        }
    }

    async Task<NpgsqlConnection> OpenAsync()
    {
        var connection = new NpgsqlConnection(database.SuperuserConnectionString());
        await connection.OpenAsync();
        return connection;
    }

    static async Task<T> ScalarAsync<T>(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    sealed class FixedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
