using Flowstone.CrashTest;

// crash-test [POINTS] | crash-test --fencing [RUNS] | crash-test --rotation [VALUES] | crash-test --editors [SAVES] | crash-test --schedules [SCHEDULES] | crash-test worker, crash-test scheduler DATABASE SKEW (started by these)
if (args is ["worker", ..])
    return await WorkerMain.RunAsync();
if (args is ["scheduler", var database, var skew])
    return await SchedulerMain.RunAsync(database, skew);
var options = CampaignOptions.Parse(args);
if (options is null)
{
    await Console.Error.WriteLineAsync(CampaignOptions.Usage);
    return 2;
}
Environment.SetEnvironmentVariable("DOTNET_EnableDiagnostics", "0");   // of the killed: their pipes would stay in the temporary folder
using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, key) =>
{
    key.Cancel = true;
    stop.Cancel();
};
try
{
    return await (options.Schedules ? new SchedulesCampaign(options).RunAsync(stop.Token) : options.Editors ? new EditorsCampaign(options).RunAsync(stop.Token) : options.Rotation ? new RotationCampaign(options).RunAsync(stop.Token) : options.Fencing ? new FencingCampaign(options).RunAsync(stop.Token) : new Campaign(options).RunAsync(stop.Token)) ? 0 : 1;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    return 130;
}
