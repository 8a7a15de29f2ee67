using System.Text;
using Npgsql;

namespace Flowstone.Data;

static class PostgresErrors
{
    // A statement that fails while Npgsql prepares it by itself (in Bind: a cancel, say) is remembered as one without rows; its next use
    // ends so, and with it the connection (npgsql/npgsql#6391, open). What was sent may have taken effect, as when a connection is lost.
    const string OutOfStep = "Received unexpected backend message";

    /// <summary>Whether the transaction stood in another's way: nothing was stored, and it may simply be run again.</summary>
    public static bool IsCollision(Exception error)
        => error.InnerException is PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected };

    /// <summary>Whether it is ClaimLine's guard that says so.</summary>
    public static bool IsLimitedClaim(Exception error) => error.InnerException is PostgresException { SqlState: PostgresErrorCodes.InvalidArgumentForPowerFunction };

    /// <summary>Whether it is WriteSql.Lock that says so.</summary>
    public static bool IsLostLease(Exception error) => error.InnerException is PostgresException { SqlState: PostgresErrorCodes.InvalidArgumentForLogarithm };

    /// <summary>Whether a guard says so (<see cref="Statement.Guarded"/>).</summary>
    public static bool IsRefusal(Exception error) => error.InnerException is PostgresException { SqlState: PostgresErrorCodes.DivisionByZero };

    /// <summary>What a database error means to the caller; null where it is a bug of ours, to surface as it is.</summary>
    public static FlowstoneException? Explain(Exception error)
    {
        for (var cause = error; cause is not null; cause = cause.InnerException)
        {
            switch (cause)
            {
                case PostgresException known:
                    return Explain(known);
                case EncoderFallbackException:   // Npgsql, before it sends half a surrogate pair
                    return Unstorable();
                case NpgsqlException { IsTransient: true }:
                case NpgsqlException { InnerException: IOException or TimeoutException }:
                case { Message: var message } when cause.GetType() == typeof(Exception) && message.StartsWith(OutOfStep, StringComparison.Ordinal):
                    return new UnavailableException("The database cannot be reached. Nothing may be assumed about a write that was under way; try again.", error) { OutcomeUnknown = true };
            }
        }
        return null;
    }

    static FlowstoneException? Explain(PostgresException error) => error.SqlState switch
    {
        PostgresErrorCodes.UniqueViolation when error.TableName?.StartsWith("node_executions", StringComparison.Ordinal) is true
            => new ConflictException("A step was recorded before; nothing of the call was stored.", error),
        PostgresErrorCodes.UniqueViolation => new ConflictException($"{Subject(error)} is already taken.", error),
        PostgresErrorCodes.InvalidCatalogName => new UnavailableException("There is no such database: create it, then run 'flowstone migrate'.", error),
        PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification
            => new UnavailableException("The database refuses the user or the password: check DATABASE_URL; run 'flowstone migrate' if the user is yet to be made.", error),
        PostgresErrorCodes.DuplicateDatabase => new ConflictException("The database is there already.", error),
        PostgresErrorCodes.InvalidArgumentForPowerFunction => new ConflictException("Pauses or limits are in the way of a claim.", error), // ClaimLine, which asks again
        PostgresErrorCodes.InvalidArgumentForLogarithm => new ConflictException("A lease is lost: another worker took over, or the execution was cancelled. Nothing of the call was stored.", error), // WriteSql.Lock
        PostgresErrorCodes.DivisionByZero => new ConflictException("A step finishes that was not started or has finished, or the execution does not run; nothing of the call was stored.", error), // the guards of ExecutionQueue
        PostgresErrorCodes.ForeignKeyViolation => new InvalidInputException(Subject(error), "refers to something that is not there, or is still referred to."),
        PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected
            => new UnavailableException("Another transaction was in the way; nothing was stored: try again.", error),
        PostgresErrorCodes.DiskFull => new UnavailableException("The database's disk is full: free space there; nothing was stored.", error),
        PostgresErrorCodes.ReadOnlySqlTransaction => new UnavailableException("The database is read-only, probably a standby: connect to the primary.", error),
        PostgresErrorCodes.TooManyConnections => new UnavailableException("The database has no free connection: lower DATABASE_POOL_MAX or raise max_connections.", error),
        PostgresErrorCodes.UntranslatableCharacter or PostgresErrorCodes.CharacterNotInRepertoire
            => Unstorable(),
        PostgresErrorCodes.NumericValueOutOfRange => new InvalidInputException("$", "holds a number beyond what PostgreSQL can store."),
        PostgresErrorCodes.CheckViolation when error.MessageText.StartsWith("no partition", StringComparison.Ordinal)
            => new UnavailableException($"There is no partition of {error.TableName} for this time: run 'flowstone migrate', and see that the server's partition job runs.", error),
        _ when error.IsTransient => new UnavailableException($"The database is not available: {error.MessageText}.", error),
        _ => null,
    };

    static InvalidInputException Unstorable() => new("$", "holds a character that PostgreSQL cannot store (U+0000 or a lone surrogate).");

    // "uq_teams_name" says more to a person than the column list, and never repeats the caller's data.
    static string Subject(PostgresException error) => error.ConstraintName ?? error.TableName ?? "The value";
}
