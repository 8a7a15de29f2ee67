using Flowstone.Executions;
using Flowstone.Workers;
using Npgsql;

namespace Flowstone.Tests.Workers;

/// <summary>Effects in the same database: exactly once, whatever dies when.</summary>
public sealed class StepTransactionTests(TestDatabase database)
{
    [Fact]
    public async Task Effects_and_record_are_committed_together_and_the_output_is_kept()
    {
        await using var shop = await Shop.OpenAsync(database);
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var output = TestTenant.Json($"\"{new string('x', 300)}\"");
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("n0", shop.Source, async (step, transaction) =>
        {
            await shop.SellAsync(transaction, work.Execution.Id);
            return output;
        }));

        var finished = await tenant.FinishedAsync(execution.Id);

        Assert.Equal(ExecutionStatus.Success, finished.Status);
        Assert.Equal(1, await shop.CountAsync(execution.Id));
        var step = Assert.Single(await tenant.Scope.Executions.NodesAsync(execution.Id));
        Assert.Equal(ExecutionStatus.Success, step.Status);
        Assert.Equal(output.Bytes.ToArray(), (await tenant.Scope.Executions.FindPayloadAsync(execution.Id, step.Output!))!.Bytes.ToArray());
    }

    [Fact]
    public async Task A_worker_that_lost_its_lease_has_no_effect()
    {
        await using var shop = await Shop.OpenAsync(database);
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var (sold, goOn, ended) = (new TaskCompletionSource(), new TaskCompletionSource(), new TaskCompletionSource());
        await using var worker = new RunningWorker(database, tenant, async work =>
        {
            try
            {
                return await work.StepAsync("n0", shop.Source, async (step, transaction) =>
                {
                    await shop.SellAsync(transaction, work.Execution.Id);
                    sold.SetResult();
                    await goOn.Task;   // deaf to its token: the database alone is left to refuse it
                    return null;
                });
            }
            finally
            {
                ended.SetResult();
            }
        });
        await sold.Task.InTimeAsync();
        tenant.Clock.Advance(TimeSpan.FromSeconds(30));
        var next = Assert.Single(await tenant.ClaimAsync("next"));

        goOn.SetResult();
        await ended.Task.InTimeAsync();

        Assert.Equal(0, await shop.CountAsync(execution.Id));
        Assert.Equal("LOST_WORKER", Assert.Single(await tenant.Scope.Executions.NodesAsync(execution.Id)).Reason);
        await tenant.Queue.FinishAsync(next.Lease, new() { Status = ExecutionStatus.Success });
    }

    [Fact]
    public async Task A_failed_step_leaves_no_effect_and_is_tried_again()
    {
        await using var shop = await Shop.OpenAsync(database);
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("n0", shop.Source, async (step, transaction) =>
        {
            await shop.SellAsync(transaction, work.Execution.Id);
            return step.Attempt < 3 ? throw new FormatException("Bad.") : null;
        }, new StepOptions { MaxAttempts = 3, Pause = TimeSpan.FromMilliseconds(10) }));

        Assert.Equal(ExecutionStatus.Success, (await tenant.FinishedAsync(execution.Id)).Status);
        Assert.Equal(1, await shop.CountAsync(execution.Id));
    }

    [Fact]
    public async Task A_lost_connection_is_tried_again_within_the_same_attempt()
    {
        await using var shop = await Shop.OpenAsync(database);
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        var times = 0;
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("n0", shop.Source, async (step, transaction) =>
        {
            await shop.SellAsync(transaction, work.Execution.Id);
            if (++times == 1)
                await database.ScalarAsync<bool>($"select pg_terminate_backend({transaction.Connection!.ProcessID})");
            await shop.SellAsync(transaction, work.Execution.Id);
            return null;
        }));

        Assert.Equal(ExecutionStatus.Success, (await tenant.FinishedAsync(execution.Id)).Status);
        Assert.Equal((2, 2), (times, await shop.CountAsync(execution.Id)));
        Assert.Equal(1, Assert.Single(await tenant.Scope.Executions.NodesAsync(execution.Id)).Attempt);
    }

    [Fact]
    public async Task The_callers_role_is_put_back_for_what_its_constraints_do_at_the_commit()
    {
        await using var shop = await Shop.OpenAsync(database);
        var tenant = await database.NewTenantAsync();
        var execution = await tenant.StartAsync();
        await using var worker = new RunningWorker(database, tenant, async work => await work.StepAsync("n0", shop.Source, async (step, transaction) =>
        {
            await shop.SellAsync(transaction, work.Execution.Id);
            return null;
        }));
        await tenant.FinishedAsync(execution.Id);

        Assert.Equal(shop.Login, await database.ScalarAsync<string>($"select sold_by from {shop.Login}.sales"));
    }

    /// <summary>A schema and a login of somebody else's in Flowstone's database.</summary>
    sealed class Shop(TestDatabase database, string login, NpgsqlDataSource source) : IAsyncDisposable
    {
        static int shops;

        public string Login => login;
        public NpgsqlDataSource Source => source;

        public static async Task<Shop> OpenAsync(TestDatabase database)
        {
            var login = $"shop_{Interlocked.Increment(ref shops)}";
            var connection = new NpgsqlConnectionStringBuilder(database.AppConnectionString()) { Username = login };
            await database.ExecuteAsync(connection.Database!, $"""
                create role {login} login; grant flowstone_app to {login}; create schema {login} authorization {login}; set role {login};
                create table {login}.sales (execution_id uuid, sold_by text);
                create function {login}.sign() returns trigger language plpgsql as 'begin update {login}.sales set sold_by = current_user; return null; end';
                create constraint trigger sign after insert on {login}.sales deferrable initially deferred for each row execute function {login}.sign()
                """);
            return new Shop(database, login, NpgsqlDataSource.Create(connection));
        }

        public async Task SellAsync(NpgsqlTransaction transaction, Id<Execution> execution)
        {
            await using var insert = new NpgsqlCommand($"insert into {login}.sales values ($1)", transaction.Connection, transaction) { Parameters = { new() { Value = execution.Value } } };
            await insert.ExecuteNonQueryAsync();
        }

        public async Task<int> CountAsync(Id<Execution> execution)
            => await database.ScalarAsync<int>($"select count(*)::int from {login}.sales where execution_id = $1", new NpgsqlParameter { Value = execution.Value });

        public ValueTask DisposeAsync() => source.DisposeAsync();
    }
}
