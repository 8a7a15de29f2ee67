using System.Globalization;

namespace Flowstone.CrashTest;

/// <summary>A place in a step's life at which its worker dies.</summary>
enum Boundary
{
    BeforeStart,
    StartUnderWay,
    AfterStart,
    AfterEffect,
    CommitUnderWay,
    AfterCommit,
    AfterAcknowledgement,
}

/// <summary>Where a worker process dies: at a boundary of a node (the execution's own end counts as one more node); or, without one, at a random instant.</summary>
sealed record KillPoint(int Node, Boundary? Boundary)
{
    public override string ToString() => Boundary is { } boundary ? $"{Node}:{boundary}" : "";

    public static KillPoint? Parse(string text) => text.Split(':') is [var node, var boundary]
        ? new KillPoint(int.Parse(node, CultureInfo.InvariantCulture), Enum.Parse<Boundary>(boundary)) : null;

    /// <summary>Every boundary of every node, again and again, in random order within each round; one in ten is a random instant.</summary>
    public static IEnumerable<KillPoint> All(Random random)
    {
        while (true)
        {
            var round = Enumerable.Range(0, Chain.Nodes + 1).SelectMany(node => Enum.GetValues<Boundary>()
                .Where(boundary => node < Chain.Nodes || boundary is not (CrashTest.Boundary.StartUnderWay or CrashTest.Boundary.AfterStart or CrashTest.Boundary.AfterEffect))
                .Select(boundary => new KillPoint(node, boundary))).ToArray();
            random.Shuffle(round);
            foreach (var point in round)
            {
                if (random.Next(10) == 0)
                    yield return new KillPoint(0, null);
                yield return point;
            }
        }
    }
}
