namespace Flowstone;

/// <summary>
/// The cluster could not be started, joined or stopped. The message says what happened and what to do next,
/// and ends with the last lines of the server's log where the server said something.
/// </summary>
public sealed class EmbeddedPostgresException : Exception
{
    internal EmbeddedPostgresException(string message, Exception? cause = null) : base(message, cause)
    {
    }

    /// <summary>A failure of one of PostgreSQL's programs, explained by what it wrote.</summary>
    internal static EmbeddedPostgresException From(string what, string output)
        => new($"{what}{Advice(output)}{Environment.NewLine}{string.Join(Environment.NewLine, output.Trim().Split('\n').TakeLast(20))}");

    /// <summary>A failure of the operating system in a file of the cluster.</summary>
    internal static EmbeddedPostgresException From(string folder, Exception cause)
        => new($"The folder {folder} cannot be used: {cause.Message.TrimEnd('.')}.{Advice(cause.Message)}", cause);

    // Texts of PostgreSQL and of the C library in English: children run with LC_ALL=C.
    static string Advice(string output)
    {
        if (output.Contains("No space left on device", StringComparison.Ordinal))
            return " The disk is full (\"No space left on device\"): free some space, then start again; committed data are kept.";
        if (output.Contains("Address already in use", StringComparison.Ordinal))
            return " Another program uses this TCP port: choose another TcpPort, or none.";
        if (output.Contains("could not look up effective user ID", StringComparison.Ordinal))
            return " PostgreSQL needs a named OS user: add this user id to /etc/passwd.";
        if (output.Contains("invalid value for parameter", StringComparison.Ordinal)
            || output.Contains("unrecognized configuration parameter", StringComparison.Ordinal)
            || output.Contains("configuration file", StringComparison.Ordinal))
            return " A setting is wrong: correct it in EmbeddedPostgresOptions.Settings, or in postgresql.auto.conf if ALTER SYSTEM put it there.";
        return "";
    }
}
