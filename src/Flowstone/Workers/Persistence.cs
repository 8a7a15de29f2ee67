namespace Flowstone.Workers;

/// <summary>Waits for a database that is away, as long as the lease lasts.</summary>
sealed class Persistence(HeldLease held)
{
    static readonly TimeSpan longest = TimeSpan.FromSeconds(1);

    /// <summary>Asks until there is an answer. Only for what may be asked twice.</summary>
    public async Task<T> AskAsync<T>(Func<Task<T>> ask)
    {
        for (var times = 0; ; times++)
        {
            try
            {
                return await ask().WaitAsync(held.Lost);
            }
            catch (UnavailableException)
            {
                await PauseAsync(times);
            }
        }
    }

    /// <summary>Writes until it is known to be written.</summary>
    /// <param name="isWritten">Asked after a write of unknown outcome.</param>
    public async Task WriteAsync(Func<Task> write, Func<Task<bool>> isWritten)
    {
        for (var times = 0; ; times++)
        {
            try
            {
                await write().WaitAsync(held.Lost);
                return;
            }
            catch (UnavailableException)
            {
                await PauseAsync(times);
                if (await AskAsync(isWritten))
                    return;
            }
            catch (ConflictException)
            {
                if (times > 0 && await AskAsync(isWritten))
                    return;
                held.Lose();
                throw;
            }
        }
    }

    /// <param name="times">How often it was in vain.</param>
    public Task PauseAsync(int times)
    {
        var pause = TimeSpan.FromMilliseconds(50 * Math.Pow(2, Math.Min(times, 10)));
        return Task.Delay((pause < longest ? pause : longest) * (0.75 + (0.5 * Random.Shared.NextDouble())), held.Lost);
    }
}
