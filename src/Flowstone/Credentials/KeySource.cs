namespace Flowstone.Credentials;

/// <summary>Where the master keys come from: one of a key file, the environment, AWS KMS.</summary>
static class KeySource
{
    public const string Mend = "Make a key with: openssl rand -base64 32 > FILE; chmod 600 FILE. Keep a copy elsewhere: who loses it loses the secrets.";

    public const string PutBack = "Put it back: as a further line of the file of FLOWSTONE_KEY_FILE, in FLOWSTONE_OLD_MASTER_KEYS, or as the key of AWS KMS.";

    public const string NeedsKey = "There is no master key: set FLOWSTONE_KEY_FILE to a file with 32 random bytes in base64, or FLOWSTONE_MASTER_KEY to the same, or FLOWSTONE_KMS_KEY to a key of AWS KMS. " + Mend;

    public static bool IsSet(FlowstoneOptions options) => !string.IsNullOrEmpty(options.KeyFile + options.MasterKey + options.KmsKey);

    /// <returns>Null if none is set.</returns>
    /// <exception cref="InvalidInputException">Several are set, or what is set is no key.</exception>
    public static IKeyRing? Of(FlowstoneOptions options)
    {
        (string Name, string? Value)[] sources = [(KeyFile.Setting, options.KeyFile), ("FLOWSTONE_MASTER_KEY", options.MasterKey), ("FLOWSTONE_KMS_KEY", options.KmsKey)];
        var set = sources.Where(source => !string.IsNullOrEmpty(source.Value)).Select(source => source.Name).ToList();
        if (set.Count > 1)
            throw new InvalidInputException(set[1], $"is set, and so is {set[0]}: set one of them.");
        if (!string.IsNullOrEmpty(options.OldMasterKeys) && set is not ["FLOWSTONE_MASTER_KEY"])
            throw new InvalidInputException("FLOWSTONE_OLD_MASTER_KEYS", "goes with FLOWSTONE_MASTER_KEY; a key file has older keys as further lines.");
        return set switch
        {
            [] => null,
            [KeyFile.Setting] => new LocalKeyRing(KeyFile.Read(options.KeyFile!)),
            ["FLOWSTONE_KMS_KEY"] => new KmsKeyRing(options.KmsKey!),
            _ => new LocalKeyRing([LocalKey.Parse("FLOWSTONE_MASTER_KEY", options.MasterKey!), .. OldKeys(options)]),
        };
    }

    static IEnumerable<LocalKey> OldKeys(FlowstoneOptions options)
        => (options.OldMasterKeys ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(text => LocalKey.Parse("FLOWSTONE_OLD_MASTER_KEYS", text));
}
