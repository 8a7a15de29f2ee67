using Flowstone.Executions;

namespace Flowstone.Workers;

static class QueueSoon
{
    public static Task WaitForWorkAsync(this ExecutionQueue queue, TimeSpan atMost, CancellationToken cancellationToken = default)
        => Task.Delay(queue is null ? atMost : TimeSpan.FromMilliseconds(50), cancellationToken);
}
