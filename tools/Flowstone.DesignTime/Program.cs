using Flowstone.Data;
using Microsoft.EntityFrameworkCore.Design;

// Nothing to run: `dotnet ef` starts this host to find the factory below.
return;

/// <summary>Gives <c>dotnet ef</c> the model: ./dev migration NAME.</summary>
sealed class DesignTimeFactory : IDesignTimeDbContextFactory<FlowstoneDb>
{
    public FlowstoneDb CreateDbContext(string[] args) => new(FlowstoneDbOptions.CreateWithoutDatabase(), default);
}
