using Flowstone.Cli.Simulation;

namespace Flowstone.Tests.Simulation;

public sealed class JournalTests
{
    readonly string path = Path.GetTempFileName();

    [Fact]
    public async Task What_was_acknowledged_is_read_back_also_behind_a_torn_line()
    {
        var options = new SimulationOptions { Seed = 9, FailureRate = 0.25 };
        var run = new StartedRun(3, new(Guid.Parse("00000000-0000-0000-0000-000000000001")), new(Guid.Parse("00000000-0000-0000-0000-000000000002")), 4,
            new(Guid.Parse("00000000-0000-0000-0000-000000000003")));
        await using (var journal = Journal.Append(path, "one", options))
            journal.Started(run);
        await File.AppendAllTextAsync(path, "step 00000000-0000-0000");
        await using (Journal.Append(path, "two", options))
        {
        }
        await File.AppendAllTextAsync(path, "finish 0000");

        var read = JournalFile.Read(path);

        Assert.Equal((2, 2, 1L), (read.Sessions.Count, read.TornLines, read.Events));
        Assert.Equal((run, new SimulatedRun("one", 9, 3, 0.25, 3)), Assert.Single(read.Runs).Started);
        File.Delete(path);
    }

    [Theory]
    [InlineData("")]
    [InlineData("hello\n")]
    [InlineData("begin a 1 0.5 3;\nstep torn\nstep torn again\n")]
    public async Task Another_file_is_refused(string content)
    {
        await File.WriteAllTextAsync(path, content);
        Assert.Throws<SimulationException>(() => JournalFile.Read(path));
        File.Delete(path);
    }
}
