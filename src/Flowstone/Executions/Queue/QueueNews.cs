using System.Threading.Channels;
using Flowstone.Data;
using Npgsql;

namespace Flowstone.Executions;

/// <summary>
/// Tells other processes that there is work, and is told by them: PostgreSQL's notifications, one for all that came within a moment, sent
/// outside of the transactions that queue. A hint only: behind a transaction pooler none arrives, and polling finds the work.
/// </summary>
sealed class QueueNews : IAsyncDisposable
{
    const string Channel = "flowstone_queue";
    static readonly TimeSpan moment = TimeSpan.FromMilliseconds(100);

    // Notifications hold 8,000 bytes; of more than this many lanes nobody is told, and polling finds them.
    const int MostLanes = 100;

    readonly NpgsqlDataSource source;
    readonly QueueLanes lanes;
    readonly TimeProvider clock;
    readonly string sender;
    readonly Channel<QueuedWork> toTell = System.Threading.Channels.Channel.CreateBounded<QueuedWork>(new BoundedChannelOptions(4096) { FullMode = BoundedChannelFullMode.DropWrite });
    readonly CancellationTokenSource stop = new();
    readonly Task telling;
    Task? listening;

    public QueueNews(NpgsqlDataSource source, QueueLanes lanes, TimeProvider clock)
    {
        (this.source, this.lanes, this.clock, sender) = (source, lanes, clock, Id<QueueNews>.New(clock).ToString());
        telling = TellAsync();
    }

    /// <summary>Whether notifications arrive: then polling can be slow.</summary>
    public bool Listening { get; private set; }

    public void Add(IReadOnlyList<QueuedWork> work)
    {
        lanes.Add(work, clock.Now());
        foreach (var item in work)
            toTell.Writer.TryWrite(item with { DueAt = null });
    }

    /// <summary>From the first call on, one connection listens.</summary>
    public void Listen()
    {
        lock (toTell)
            listening ??= ListenAsync();
    }

    async Task TellAsync()
    {
        try
        {
            while (await toTell.Reader.WaitToReadAsync(stop.Token))
            {
                var told = new HashSet<(Guid Tenant, short Priority)>();
                while (toTell.Reader.TryRead(out var work))
                    told.Add((work.TenantId.Value, work.Priority));
                try
                {
                    await using var command = source.CreateCommand("select pg_notify($1, $2)");
                    command.Parameters.Add(Sql.P(Channel));
                    command.Parameters.Add(Sql.P($"{sender};{string.Join(';', told.Take(MostLanes).Select(lane => $"{lane.Tenant:D}/{lane.Priority}"))}"));
                    await command.ExecuteNonQueryAsync(stop.Token);
                }
                catch (Exception error) when (PostgresErrors.Explain(error) is not null)
                {
                    // A hint that is lost: polling finds the work.
                }
                await Task.Delay(moment, stop.Token);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Closing.
        }
    }

    async Task ListenAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync(stop.Token);
                connection.Notification += (_, news) => Hear(news.Payload);
                await using (var listen = new NpgsqlCommand($"listen {Channel}", connection))
                    await listen.ExecuteNonQueryAsync(stop.Token);
                Listening = true;
                while (true)
                    await connection.WaitAsync(stop.Token);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error) when (PostgresErrors.Explain(error) is not null || error is NpgsqlException or ObjectDisposedException)
            {
                Listening = false;
                await Task.WhenAny(Task.Delay(TimeSpan.FromSeconds(1), stop.Token));
            }
        }
    }

    void Hear(string payload)
    {
        var parts = payload.Split(';');
        if (parts[0] == sender)
            return;
        var work = new List<QueuedWork>(parts.Length - 1);
        foreach (var lane in parts.Skip(1))
            if (lane.Split('/') is [var tenant, var priority] && Guid.TryParse(tenant, out var id) && short.TryParse(priority, out var level))
                work.Add(new QueuedWork(new(id), level, null));
        lanes.Add(work, clock.Now());
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await telling;
        if (listening is not null)
            await listening;
        stop.Dispose();
    }
}
