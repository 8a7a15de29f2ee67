namespace Flowstone.Workers;

static class CrashReport
{
    /// <summary>Type and message, of its causes too. No stack trace: it would be in the hands of whoever may read executions.</summary>
    public static string Of(Exception error)
    {
        var text = $"{error.GetType().FullName}: {error.Message}";
        for (var cause = error.InnerException; cause is not null && text.Length < 4000; cause = cause.InnerException)
            text += $" <- {cause.GetType().FullName}: {cause.Message}";
        return text.Replace('\0', ' ');
    }

    /// <summary>Waits for work that should end soon after its token was cancelled; what does not is left to itself.</summary>
    /// <exception cref="OperationCanceledException">It did not end.</exception>
    public static async Task<T> ObeyAsync<T>(this Task<T> work, TimeSpan grace, CancellationToken token)
    {
        try
        {
            return await work.WaitAsync(token);
        }
        catch (OperationCanceledException) when (!work.IsCompleted)
        {
            using var over = new CancellationTokenSource(grace);
            try
            {
                return await work.WaitAsync(over.Token);
            }
            catch (OperationCanceledException) when (!work.IsCompleted)
            {
                throw new OperationCanceledException("It did not listen to its cancellation.", token);
            }
        }
    }
}
