using System.Text.Json;
using Flowstone.Data;

namespace Flowstone.Credentials;

/// <summary>What a secret of each type must hold. More may be in it: platforms have their own fields.</summary>
static class CredentialShape
{
    const int MaxBytes = 64 * 1024, MaxDepth = 32;

    /// <summary>Texts that it needs: of each group one.</summary>
    static string[][] Needs(CredentialType type) => type switch
    {
        CredentialType.ApiKey => [["apiKey"]],
        CredentialType.Oauth2 => [["clientId"], ["clientSecret", "accessToken", "refreshToken"]],
        CredentialType.BasicAuth => [["username"], ["password"]],
        CredentialType.Jwt => [["token", "secret", "privateKey"]],
        CredentialType.SshKey => [["privateKey"]],
        CredentialType.Database => [["connectionString", "host"]],
        _ => [],
    };

    /// <returns>The secret as it is sealed.</returns>
    /// <exception cref="InvalidInputException">It does not fit its type; the message names the field, and nothing of its content.</exception>
    public static byte[] Check(CredentialType type, JsonElement secret)
    {
        var errors = new FieldErrors(10);
        if (errors.Expect("secret", secret, JsonValueKind.Object) is null || !StorableJson.Check(secret, errors, MaxDepth) || errors.All.Count > 0)
            throw Refused(errors);
        foreach (var group in Needs(type))
        {
            var present = group.Where(name => secret.TryGetProperty(name, out _)).ToList();
            if (present.Count == 0)
                errors.Add($"secret.{group[0]}", group.Length == 1 ? "is missing." : $"is missing, or one of {string.Join(", ", group[1..])} instead of it.");
            foreach (var name in present)
                if (errors.Expect($"secret.{name}", secret.GetProperty(name), JsonValueKind.String) is { } text && text.GetString() is "")
                    errors.Add($"secret.{name}", "must not be empty.");
        }
        if (type == CredentialType.Database && secret.TryGetProperty("port", out var port) && (port.ValueKind != JsonValueKind.Number || !port.TryGetInt32(out var number) || number is < 1 or > 65_535))
            errors.Add("secret.port", "must be a number from 1 to 65,535.");
        if (type == CredentialType.SshKey && errors.All.Count == 0 && !secret.GetProperty("privateKey").GetString()!.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
            errors.Add("secret.privateKey", "is no private key in PEM or OpenSSH form.");
        errors.ThrowIfAny();
        return CheckSize(JsonBytes.Of(secret));
    }

    public static byte[] CheckSize(byte[] secret)
        => secret.Length <= MaxBytes ? secret : throw new InvalidInputException("secret", $"has {secret.Length:N0} bytes; at most {MaxBytes:N0} are allowed.");

    // A key may itself be secret: only that something is wrong is told of what is deeper.
    static InvalidInputException Refused(FieldErrors errors)
        => new("secret", errors.All is [{ Field: "secret" } error, ..] ? error.Message : "holds what cannot be kept: U+0000, half a surrogate pair, a number out of range, or more than 32 levels.");
}
