using Flowstone.Cli.Simulation;

namespace Flowstone.Tests.Simulation;

public sealed class RunPlanTests
{
    [Fact]
    public void A_line_runs_from_its_start_to_its_end()
        => Assert.Equal(["a", "b", "c"], Graphs.Plan("b>c a>b").Walk());

    [Fact]
    public void A_merge_runs_once_and_after_all_that_lead_to_it()
        => Assert.Equal(["a", "b", "c", "d", "e"], Graphs.Plan("a>b a>c b>d c>d d>e").Walk().Order());

    [Fact]
    public void A_branch_takes_one_way_mostly_and_at_least_one_always()
    {
        var plan = Graphs.Plan("if:0>yes if:1>no yes>end no>end");

        var walks = Enumerable.Range(0, 1000).Select(ordinal => plan.Walk(ordinal)).ToList();

        Assert.All(walks, walk => Assert.True(walk is ["if", .., "end"] && walk.Count is 3 or 4));
        Assert.InRange(walks.Count(w => w.Count == 4), 20, 100);
        Assert.InRange(walks.Count(w => w.Contains("yes")), 400, 650);
    }

    [Fact]
    public void A_loop_comes_round_one_to_three_times_and_then_goes_on()
    {
        var plan = Graphs.Plan("start>loop loop>body body>loop body>end");

        var rounds = Enumerable.Range(0, 300).Select(plan.Walk).Select(walk =>
        {
            Assert.Equal("end", walk[^1]);
            Assert.Equal(walk.Count(n => n == "loop"), walk.Count(n => n == "body"));
            return walk.Count(n => n == "body");
        }).ToList();

        Assert.Equal([1, 2, 3], rounds.Distinct().Order());
    }

    [Fact]
    public void Loops_within_loops_end_and_number_their_iterations()
    {
        var plan = Graphs.Plan("s>outer outer>inner inner>x x>inner x>y y>outer y>end y>y");
        for (var ordinal = 0; ordinal < 100; ordinal++)
        {
            var visits = RunPlan.Create(plan, Graphs.Run with { Ordinal = ordinal });
            Assert.Equal(visits.Count, visits.Select(v => (v.Node, v.Iteration)).Distinct().Count());
            Assert.All(visits, visit => Assert.InRange(visit.Iteration, 0, 2));
            Assert.Equal(["s", "outer", "inner", "x", "y"], visits.Take(5).Select(v => plan.NodeId(v.Node)));
            Assert.Equal("end", plan.NodeId(visits[^1].Node));
        }
    }

    [Fact]
    public void What_nothing_leads_to_is_a_start_and_notes_and_disabled_nodes_do_not_run()
        => Assert.Equal(["a", "b", "c", "lonely"], Graphs.Plan("a>b off>c", "lonely", "note").Walk().Order());

    [Fact]
    public void A_loop_without_an_entry_runs()
        => Assert.Subset(new HashSet<string> { "a", "b" }, Graphs.Plan("a>b b>a").Walk().ToHashSet());

    [Fact]
    public void What_an_agent_uses_runs_before_it()
        => Assert.Equal(["model", "tool", "agent"], Graphs.Plan("start>agent model-ai_languageModel>agent tool-ai_tool>agent").Walk().Where(n => n != "start").OrderBy(n => n == "agent").ThenBy(n => n));

    [Fact]
    public void An_agent_whose_branch_is_not_taken_does_not_run_for_its_tools_sake()
    {
        var plan = Graphs.Plan("if:0>agent if:1>other tool-ai_tool>agent");
        Assert.Contains(Enumerable.Range(0, 50), ordinal => !plan.Walk(ordinal).Contains("agent"));
    }

    [Fact]
    public void A_chain_of_five_thousand_nodes_needs_no_stack()
    {
        var chain = Graphs.Plan(string.Join(' ', Enumerable.Range(0, 4999).Select(i => $"n{i}>n{i + 1}")));
        Assert.Equal(Enumerable.Range(0, 5000).Select(i => $"n{i}"), chain.Walk());

        var ring = Graphs.Plan(string.Join(' ', Enumerable.Range(0, 5000).Select(i => $"n{i}>n{(i + 1) % 5000}")));
        Assert.Equal(0, ring.Walk().Count % 5000);
    }

    [Fact]
    public void The_same_seed_decides_alike_and_another_one_differently()
    {
        var plan = Graphs.Plan("if:0>yes if:1>no yes>loop no>loop loop>body body>loop body>end");
        var some = Graphs.Run with { FailureRate = 0.3 };

        var plans = Enumerable.Range(0, 20).Select(seed => RunPlan.Create(plan, some with { Seed = seed })).ToList();

        Assert.All(plans, (visits, seed) => Assert.Equal(visits, RunPlan.Create(plan, some with { Seed = seed, Session = "other" })));
        Assert.True(plans.Select(visits => string.Join(' ', visits)).Distinct().Count() > 15);
    }

    [Fact]
    public void A_node_that_fails_too_often_ends_the_execution()
    {
        var plan = Graphs.Plan("a>b b>c");
        var visit = Assert.Single(RunPlan.Create(plan, Graphs.Run with { FailureRate = 1 }));
        Assert.Equal((3, false), (visit.Tries, visit.Succeeds));
    }
}
