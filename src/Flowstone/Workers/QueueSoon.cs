using Flowstone.Executions;

namespace Flowstone.Executions
{
    public sealed record WaitFor
    {
        public DateTimeOffset? Until { get; init; }
        public string? Signal { get; init; }
    }
}

namespace Flowstone.Workers
{
    static class QueueSoon
    {
        public static Task ReleaseAsync(this ExecutionQueue queue, ExecutionLease lease, CancellationToken cancellationToken = default)
            => queue.RenewAsync([lease], TimeSpan.FromSeconds(1), cancellationToken);

        public static Task GiveBackAsync(this ExecutionQueue queue, ExecutionLease lease, string error, TimeSpan? delay = null, CancellationToken cancellationToken = default)
            => queue.RenewAsync([lease], TimeSpan.FromSeconds(1), cancellationToken);

        public static Task WaitAsync(this ExecutionQueue queue, ExecutionLease lease, WaitFor what, CancellationToken cancellationToken = default)
            => throw new NotSupportedException();

        public static Task WaitForWorkAsync(this ExecutionQueue queue, TimeSpan atMost, CancellationToken cancellationToken = default)
            => Task.Delay(100, cancellationToken);
    }
}
