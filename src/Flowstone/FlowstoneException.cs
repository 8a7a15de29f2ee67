namespace Flowstone;

/// <summary>Something Flowstone refused or could not do. Catch a derived type to act on it.</summary>
public abstract class FlowstoneException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>The row is not there, or belongs to another tenant: the two are told alike on purpose.</summary>
public sealed class NotFoundException(string kind, object id) : FlowstoneException($"{kind} {id} was not found.");

/// <summary>The actor may know of it, but not do this: an owner or an administrator can allow it.</summary>
public sealed class AccessDeniedException(string message) : FlowstoneException(message);

/// <summary>The row changed first, or a unique name is taken. Read again before retrying.</summary>
public class ConflictException(string message, Exception? cause = null) : FlowstoneException(message, cause);

/// <summary>The database could not be reached or could not take the write. A call whose commit was under way may have taken effect.</summary>
public sealed class UnavailableException(string message, Exception? cause = null) : FlowstoneException(message, cause)
{
    /// <summary>Whether the write may have taken effect all the same: the connection was lost before the answer came.</summary>
    public bool OutcomeUnknown { get; init; }
}

/// <summary>The input breaks a rule; nothing was stored. <see cref="Errors"/> names each field.</summary>
public sealed class InvalidInputException(IReadOnlyList<FieldError> errors)
    : FlowstoneException(string.Join(" ", errors.Take(5).Select(error => $"{error.Field}: {error.Message}")))
{
    public InvalidInputException(string field, string message) : this([new FieldError(field, message)]) { }

    /// <summary>At least one; in the order of the document.</summary>
    public IReadOnlyList<FieldError> Errors => errors;
}

/// <summary>One broken rule.</summary>
/// <param name="Field">Where, as a path into the input: <c>nodes[3].id</c>.</param>
/// <param name="Message">What is wrong and what would be right, as a sentence.</param>
public sealed record FieldError(string Field, string Message);
