using System.CommandLine;
using Flowstone.Credentials;
using Flowstone.Tenancy;

namespace Flowstone.Cli;

/// <summary>What seals the secrets: docs/credentials.md.</summary>
static class KeysCommand
{
    static readonly Actor commandLine = Actor.System("flowstone command line");
    static readonly Option<string?> only = new("--only") { Description = "The slug of one tenant; all, unless told." };

    public static Command Create() => new("keys", "List, rotate and verify the keys that seal secrets.") { List(), Rewrap(), Rotate(), Verify(), Close(), Destroy() };

    static Command List()
    {
        var list = new Command("list", "List the tenants' data keys, and how many values each seals.") { only, StoreOptions.Json }.WithExample("flowstone keys list");
        list.SetAction((arguments, cancellationToken) => WithReportAsync(arguments, (tenants, report) =>
        {
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(report.Keys.Select(k => new { k.TenantId, k.Id, k.MasterKeyId, k.CreatedAt, k.RetiredAt, k.ResealedAt, k.ClosedAt, k.Uses, Values = ValuesOf(report, k) }));
            else if (report.Keys.Count == 0)
                Output.Line("No data keys yet: a tenant's first one is made when something is sealed.");
            foreach (var key in arguments.GetValue(StoreOptions.Json) ? [] : report.Keys)
                Output.Line($"{tenants[key.TenantId],-24}  {key.Id}  {(key.RetiredAt is null ? "seals" : key.ClosedAt is null ? "opens" : "closed"),-6}  {ValuesOf(report, key),9:N0} values  master key {key.MasterKeyId}");
            return 0;
        }, cancellationToken));
        return list;
    }

    static Command Rewrap()
    {
        var rewrap = new Command("rewrap", "Wrap all data keys with the current master key: at once. Then older master keys are needed no more.").WithExample("flowstone keys rewrap");
        rewrap.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            Output.Line($"{await open.Store.KeyRotation.RewrapAsync(cancellationToken):N0} data keys wrapped anew.");
        });
        return rewrap;
    }

    static Command Rotate()
    {
        var resume = new Option<bool>("--resume") { Description = "Go on with one that was stopped, without making new data keys." };
        var pause = new Option<int>("--pause") { Description = "Milliseconds between two batches of 200 values. Default: 0.", DefaultValueFactory = _ => 0 };
        var rotate = new Command("rotate", "Make new data keys and seal all values with them, while everybody goes on. May be stopped at any moment.") { only, resume, pause }
            .WithExample("flowstone keys rotate --pause 50");
        rotate.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var (tenant, rotation) = (await FindAsync(open, arguments, cancellationToken), open.Store.KeyRotation);
            var pace = new RotationPace(Pause: TimeSpan.FromMilliseconds(Math.Max(0, arguments.GetValue(pause))));
            var told = new Progress<long>(done => { if (done % 10_000 < 200) Output.Note($"{done:N0} values …"); });
            var values = arguments.GetValue(resume) ? await rotation.ResealAsync(tenant, pace, told, cancellationToken) : await rotation.RotateAsync(tenant, pace, told, commandLine, cancellationToken);
            Output.Line($"{values:N0} values sealed anew; {(await rotation.ReportAsync(tenant, cancellationToken)).Behind:N0} are left on older keys.");
        });
        return rotate;
    }

    static Command Verify()
    {
        var verify = new Command("verify", "Tell whether any value is sealed with a key that does not seal any more. Exit code 1 if so.") { only, StoreOptions.Json }.WithExample("flowstone keys verify");
        verify.SetAction((arguments, cancellationToken) => WithReportAsync(arguments, (tenants, report) =>
        {
            if (arguments.GetValue(StoreOptions.Json))
                Output.Json(report.Values);
            foreach (var values in arguments.GetValue(StoreOptions.Json) ? [] : report.Values)
                Output.Line($"{tenants[values.TenantId],-24}  {values.Column,-28}  {values.KeyId}  {values.Values,9:N0}  {values.Key switch { DataKeyState.Current => "", DataKeyState.Retired => "behind: flowstone keys rotate --resume", DataKeyState.Destroyed => "lost: the key was destroyed", _ => "broken: there is no such key" }}".TrimEnd());
            Output.Note(report.Behind == 0 ? "Nothing is left on older keys." : $"{report.Behind:N0} values are left on older keys.");
            return report.Behind == 0 ? 0 : 1;
        }, cancellationToken));
        return verify;
    }

    static Command Close()
    {
        var close = new Command("close", "Refuse what is sealed with retired data keys, after a rotation: nothing is, so it would have been put there from an old copy.") { only }.WithExample("flowstone keys close");
        close.SetAction(async (arguments, cancellationToken) =>
        {
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var closed = 0;
            foreach (var tenant in await FindAsync(open, arguments, cancellationToken) is { } one ? [one] : (await open.Store.Tenants.ListAsync(cancellationToken)).Select(tenant => tenant.Id))
                closed += await open.Store.KeyRotation.CloseAsync(tenant, commandLine, cancellationToken);
            Output.Line($"{closed:N0} data keys closed.");
        });
        return close;
    }

    static Command Destroy()
    {
        var slug = new Argument<string>("tenant") { Description = "The slug of the tenant whose secrets are to be lost." };
        var yes = new Option<bool>("--yes") { Description = "Needed: what is destroyed does not come back." };
        var destroy = new Command("destroy", "Destroy a tenant's data keys: its secrets cannot be read any more, by anybody, for ever.") { slug, yes }.WithExample("flowstone keys destroy acme --yes");
        destroy.SetAction(async (arguments, cancellationToken) =>
        {
            if (!arguments.GetValue(yes))
                throw new InvalidInputException("--yes", "is needed to destroy keys.");
            await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
            var tenant = await open.Store.Tenants.FindAsync(arguments.GetRequiredValue(slug), cancellationToken) ?? throw new InvalidInputException("tenant", "there is none of that name. See: flowstone tenant list");
            Output.Line($"{await open.Store.KeyRotation.DestroyAsync(tenant.Id, commandLine, cancellationToken):N0} data keys of {tenant.Slug} are destroyed.");
        });
        return destroy;
    }

    static long ValuesOf(KeyReport report, DataKey key) => report.Values.Where(v => v.TenantId == key.TenantId && v.KeyId == key.Id).Sum(v => v.Values);

    static async Task<int> WithReportAsync(ParseResult arguments, Func<Dictionary<Id<Tenant>, string>, KeyReport, int> tell, CancellationToken cancellationToken)
    {
        await using var open = await OpenStore.OpenAsync(arguments, cancellationToken);
        var report = await open.Store.KeyRotation.ReportAsync(await FindAsync(open, arguments, cancellationToken), cancellationToken);
        return tell((await open.Store.Tenants.ListAsync(cancellationToken)).ToDictionary(tenant => tenant.Id, tenant => tenant.Slug), report);
    }

    static async Task<Id<Tenant>?> FindAsync(OpenStore open, ParseResult arguments, CancellationToken cancellationToken)
        => arguments.GetValue(only) is { } slug
            ? (await open.Store.Tenants.FindAsync(slug, cancellationToken) ?? throw new InvalidInputException("--only", $"there is no tenant '{slug}'. See: flowstone tenant list")).Id : null;
}
