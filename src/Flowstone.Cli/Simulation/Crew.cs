using Flowstone.Executions;

namespace Flowstone.Cli.Simulation;

/// <summary>What starters, workers and checks of one process share.</summary>
sealed class Crew(FlowstoneStore store, WorkflowCatalog catalog, SimulationOptions options, Ledger ledger, Journal? journal, Measurements measurements)
{
    public FlowstoneStore Store => store;
    public WorkflowCatalog Catalog => catalog;
    public SimulationOptions Options => options;
    public Ledger Ledger => ledger;
    public Journal? Journal => journal;
    public Measurements Measurements => measurements;
    public Patience Patience { get; } = new(options.Patience, measurements);

    /// <summary>A place per execution that may wait for a worker.</summary>
    public SemaphoreSlim Backlog { get; } = new(options.Backlog, options.Backlog);

    public void Claimed(Execution execution)
    {
        if (execution.Claims > 1)
            measurements.Resume();
        else
            FreePlace();
    }

    void FreePlace()
    {
        try
        {
            Backlog.Release();
        }
        catch (SemaphoreFullException)
        {
            // Another process started it: there was no place to free.
        }
    }
}
