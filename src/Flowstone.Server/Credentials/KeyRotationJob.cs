using System.Threading.Channels;
using Flowstone.Credentials;
using Flowstone.Tenancy;

namespace Flowstone.Server.Credentials;

/// <summary>Seals anew what was sealed with keys that somebody has just retired over HTTP. What a process leaves when it ends, maintenance takes up.</summary>
sealed partial class KeyRotationJob(FlowstoneStore store, ILogger<KeyRotationJob> logger) : BackgroundService
{
    static readonly RotationPace gently = new(Pause: TimeSpan.FromMilliseconds(20));

    readonly Channel<Id<Tenant>> begun = Channel.CreateUnbounded<Id<Tenant>>();

    public void Add(Id<Tenant> tenant) => begun.Writer.TryWrite(tenant);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (var tenant in begun.Reader.ReadAllAsync(stoppingToken))
            try
            {
                var values = await store.KeyRotation.ResealAsync(tenant, gently, cancellationToken: stoppingToken);
                Resealed(values, tenant);
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)   // a value that does not open, or the database is away
            {
                Failed(tenant, error.Message);
            }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Sealed {Values} value(s) of tenant {Tenant} with its new data key.")]
    partial void Resealed(long values, Id<Tenant> tenant);

    [LoggerMessage(Level = LogLevel.Error, Message = "Not all values of tenant {Tenant} were sealed with its new data key; it will be tried again: {Reason}")]
    partial void Failed(Id<Tenant> tenant, string reason);
}
