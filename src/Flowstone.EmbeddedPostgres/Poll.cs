using System.Diagnostics;

namespace Flowstone;

static class Poll
{
    /// <summary>Looks every 10 ms until something holds. False when the limit passed first.</summary>
    public static Task<bool> UntilAsync(Func<bool> holds, TimeSpan limit, CancellationToken cancellationToken)
        => UntilAsync(() => Task.FromResult(holds()), limit, cancellationToken);

    /// <inheritdoc cref="UntilAsync(Func{bool}, TimeSpan, CancellationToken)"/>
    public static async Task<bool> UntilAsync(Func<Task<bool>> holds, TimeSpan limit, CancellationToken cancellationToken)
    {
        var waited = Stopwatch.StartNew();
        while (!await holds())
        {
            if (waited.Elapsed > limit)
                return false;
            await Task.Delay(10, cancellationToken);
        }
        return true;
    }
}
