namespace Flowstone.Tests;

static class Outcome
{
    /// <summary>What went wrong, or null: for races, where either is right.</summary>
    public static async Task<Exception?> OfAsync(Func<Task> work)
    {
        try
        {
            await Task.Run(work);
            return null;
        }
        catch (FlowstoneException error)
        {
            return error;
        }
    }
}
