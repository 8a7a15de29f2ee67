using System.CommandLine;

namespace Flowstone.Cli;

/// <summary>Which database and tenant a command works on.</summary>
static class StoreOptions
{
    public const string DefaultTenant = "default";

    public static readonly Option<string?> Database = new("--database")
    {
        Description = "The database as postgres://user@host/name, or 'Host=…;Database=…'. Better set DATABASE_URL: what is on a command line, others can read. "
            + "Without either, Flowstone runs a PostgreSQL of its own.",
        HelpName = "URL",
        Recursive = true,
    };

    public static readonly Option<DirectoryInfo?> Data = new("--data")
    {
        Description = "The folder of Flowstone's own PostgreSQL. Default: FLOWSTONE_DATA, else .flowstone in the checkout.",
        HelpName = "FOLDER",
        Recursive = true,
    };

    /// <summary>For commands that work on one tenant.</summary>
    public static readonly Option<string> Tenant = new("--tenant")
    {
        Description = "The tenant's slug.",
        HelpName = "SLUG",
        DefaultValueFactory = _ => DefaultTenant,
    };

    /// <summary>For commands whose result a machine may want.</summary>
    public static readonly Option<bool> Json = new("--json") { Description = "Write the result as JSON." };
}
