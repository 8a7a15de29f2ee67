namespace Flowstone.Credentials;

/// <summary>
/// What is sealed does not open: it was changed, belongs to another row, or its key is gone. The message names place and key, never the
/// content; the row stays as it is. See docs/credentials.md.
/// </summary>
public sealed class CredentialSealException : FlowstoneException
{
    CredentialSealException(string message, Exception? cause = null) : base(message, cause) { }

    internal static CredentialSealException At(SealedPlace place, string why, Exception? cause = null)
        => new($"The sealed value {place.Column} of row {place.RowId} (tenant {place.TenantId}) {why}", cause);

    internal static CredentialSealException OfKey(DataKeyPlace key, string why, Exception? cause = null)
        => new($"The data key {key.Id} of tenant {key.TenantId} {why}", cause);

    // Without a cause: a parser's message quotes what it read.
    internal static CredentialSealException OfOriginal(string layout, string why) => new($"The secret of the original system, in its layout {layout}, {why}");
}
