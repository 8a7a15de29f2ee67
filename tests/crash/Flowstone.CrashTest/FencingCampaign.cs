namespace Flowstone.CrashTest;

sealed class FencingCampaign(CampaignOptions options)
{
    public Task<bool> RunAsync(CancellationToken stop) => Task.FromResult(options.Count == 0 && stop.IsCancellationRequested);
}
