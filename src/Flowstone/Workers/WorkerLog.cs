using Flowstone.Executions;
using Microsoft.Extensions.Logging;

namespace Flowstone.Workers;

/// <summary>What a worker tells its operator.</summary>
sealed partial class WorkerLog(ILogger logger)
{
    [LoggerMessage(Level = LogLevel.Warning, Message = "Nothing could be claimed, and will be tried again: {Reason}")]
    public partial void NotClaimed(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Leases could not be renewed, and will be tried again: {Reason}")]
    public partial void NotRenewed(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The lease on execution {Id} (fence {Fence}) is lost: another worker goes on with it, or it was cancelled.")]
    public partial void LeaseLost(Id<Execution> id, int fence);

    [LoggerMessage(Level = LogLevel.Error, Message = "The handler of execution {Id} failed.")]
    public partial void Crashed(Id<Execution> id, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "What became of execution {Id} could not be written; its lease runs out.")]
    public partial void Failed(Id<Execution> id, Exception error);
}
