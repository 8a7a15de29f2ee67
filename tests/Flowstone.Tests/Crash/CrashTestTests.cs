using System.Diagnostics;

namespace Flowstone.Tests.Crash;

/// <summary>A campaign that finds nothing proves nothing unless it can find: a few kills with a guard broken on purpose. <c>./dev crash-test</c> has the thousand kills.</summary>
public sealed class CrashTestTests
{
    [Theory]
    [InlineData("fence", "late writes accepted")]
    [InlineData("transaction", "side effects unlike the undisturbed run")]
    [InlineData("journal", "acknowledged writes lost")]
    public async Task A_broken_guard_is_found(string guard, string rule)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        foreach (var argument in new[] { Path.Combine(AppContext.BaseDirectory, "Flowstone.CrashTest.dll"), "8", "--break", guard })
            start.ArgumentList.Add(argument);
        using var campaign = Process.Start(start)!;

        var said = await campaign.StandardOutput.ReadToEndAsync();
        await campaign.WaitForExitAsync();

        Assert.Equal(1, campaign.ExitCode);
        Assert.Contains(said.Split('\n'), line => line.StartsWith(rule, StringComparison.Ordinal) && line.EndsWith("MISMATCH", StringComparison.Ordinal));
    }
}
