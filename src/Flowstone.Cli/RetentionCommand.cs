using System.CommandLine;
using Flowstone.Executions;

namespace Flowstone.Cli;

static class RetentionCommand
{
    public static Command Create()
    {
        var days = new Option<int>("--days") { Description = "How long what is finished stays, in tenants that do not say themselves.", DefaultValueFactory = _ => ExecutionRetention.DefaultDays };
        var run = new Command("run", "Delete what finished longer ago than it is kept, with its steps and payloads. The server does it every day.") { days, StoreOptions.Json }.WithExample("flowstone retention run --days 90");
        run.SetAction((arguments, cancellationToken) => ReportAsync(arguments, "deleted",
            (retention, cancellation) => retention.RunAsync(arguments.GetValue(days), cancellationToken: cancellation), cancellationToken));
        var explain = new Command("explain", "Say what 'retention run' would delete now.") { days, StoreOptions.Json }.WithExample("flowstone retention explain --json");
        explain.SetAction((arguments, cancellationToken) => ReportAsync(arguments, "would go",
            (retention, cancellation) => retention.ExplainAsync(arguments.GetValue(days), cancellation), cancellationToken));

        var own = new Option<int?>("--days") { Description = "How long; without it, as long as other tenants." };
        var set = new Command("set", "Say how long a tenant keeps what is finished.") { StoreOptions.Tenant, own }.WithExample("flowstone retention set --tenant acme --days 365");
        set.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var tenant = await open.TenantAsync(arguments, cancellationToken);
            await open.Store.Retention.SetDaysAsync(tenant.TenantId, arguments.GetValue(own), cancellationToken);
        });
        return new Command("retention", "Delete executions that are past their time.") { run, explain, set };
    }

    static async Task ReportAsync(ParseResult arguments, string deed, Func<ExecutionRetention, CancellationToken, Task<RetentionReport>> work, CancellationToken cancellationToken)
    {
        await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
        var report = await work(open.Store.Retention, cancellationToken);
        if (arguments.GetValue(StoreOptions.Json))
        {
            Output.Json(report);
            return;
        }
        foreach (var week in report.Partitions)
            Output.Line($"The week of {week.Week:yyyy-MM-dd} as a whole: {week.Executions:N0} executions {deed}.");
        foreach (var tenant in report.Tenants)
            Output.Line($"{tenant.Slug,-24}  {tenant.Days,5} days{(tenant.OwnDays ? "*" : " ")}  {tenant.Executions,12:N0} executions {deed}{(report.Partitions.Count > 0 ? " beside" : "")}.");
        if (report.Tenants.Any(tenant => tenant.OwnDays))
            Output.Note("* as the tenant says.");
    }
}
