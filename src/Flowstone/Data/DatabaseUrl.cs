using Npgsql;

namespace Flowstone.Data;

/// <summary>Reads <c>DATABASE_URL</c>: <c>postgres://user:password@host:port/database?sslmode=require</c>, or Npgsql's own form.</summary>
public static class DatabaseUrl
{
    /// <exception cref="ArgumentException">Neither form; the message never repeats the value, which holds a password.</exception>
    public static NpgsqlConnectionStringBuilder Parse(string text)
    {
        try
        {
            return text.StartsWith("postgres://", StringComparison.Ordinal) || text.StartsWith("postgresql://", StringComparison.Ordinal)
                ? ParseUrl(text)
                : new NpgsqlConnectionStringBuilder(text);
        }
        catch (Exception error) when (error is ArgumentException or FormatException or OverflowException)
        {
            throw new ArgumentException(
                "The database setting (DATABASE_URL) is neither postgres://user:password@host:port/database nor 'Host=…;Username=…;Database=…'.", nameof(text));
        }
    }

    static NpgsqlConnectionStringBuilder ParseUrl(string text)
    {
        // System.Uri knows one host; a cluster has several: postgres://u@a:5432,b:5432/db.
        var rest = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..];
        var (beforeQuery, query) = Cut(rest, '?');
        var (authority, database) = Cut(beforeQuery, '/');
        var at = authority.LastIndexOf('@');
        var (user, password) = at < 0 ? ("", "") : Cut(authority[..at], ':');
        var result = new NpgsqlConnectionStringBuilder { Host = Uri.UnescapeDataString(authority[(at + 1)..]) };
        if (result.Host.LastIndexOf(':') is var colon and > 0 && !result.Host.EndsWith(']') && !result.Host.Contains(',', StringComparison.Ordinal))
            (result.Host, result.Port) = (result.Host[..colon], int.Parse(result.Host[(colon + 1)..], null));
        if (user.Length > 0)
            result.Username = Uri.UnescapeDataString(user);
        if (password.Length > 0)
            result.Password = Uri.UnescapeDataString(password);
        if (database.Length > 0)
            result.Database = Uri.UnescapeDataString(database);
        foreach (var pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (key, value) = Cut(pair, '=');
            var name = key switch
            {
                "sslmode" => "SSL Mode",
                "application_name" => "Application Name",
                "connect_timeout" => "Timeout",
                "channel_binding" => "Channel Binding",
                "target_session_attrs" => "Target Session Attributes",
                "schema" or "connection_limit" or "pgbouncer" => null, // Prisma's; Flowstone's schema is its own
                _ => key,
            };
            if (name is not null)
                result[name] = key == "sslmode" ? value.Replace("-", "", StringComparison.Ordinal) : Uri.UnescapeDataString(value);
        }
        return result;
    }

    static (string Before, string After) Cut(string text, char separator)
        => text.IndexOf(separator) is var at and >= 0 ? (text[..at], text[(at + 1)..]) : (text, "");
}
