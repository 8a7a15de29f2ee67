namespace Flowstone.Credentials;

/// <summary>Where the master keys come from: one of a key file, the environment, AWS KMS.</summary>
static class KeySource
{
    public const string Mend = "Make a key with: openssl rand -base64 32 > FILE; chmod 600 FILE. Keep a copy elsewhere: who loses it loses the secrets.";

    public const string PutBack = $"Put it back: as a further line of the file of FLOWSTONE_KEY_FILE, or in {Old}.";

    public const string NeedsKey = "There is no master key: set FLOWSTONE_KEY_FILE to a file with 32 random bytes in base64, or FLOWSTONE_MASTER_KEY to the same, or FLOWSTONE_KMS_KEY to a key of AWS KMS. " + Mend;

    const string Old = "FLOWSTONE_OLD_MASTER_KEYS";

    public static bool IsSet(FlowstoneOptions options) => !string.IsNullOrEmpty(options.KeyFile + options.MasterKey + options.KmsKey);

    /// <returns>Null if none is set.</returns>
    /// <exception cref="InvalidInputException">Several are set, or what is set is no key.</exception>
    public static IKeyRing? Of(FlowstoneOptions options)
    {
        (string Name, string? Value)[] sources = [(KeyFile.Setting, options.KeyFile), ("FLOWSTONE_MASTER_KEY", options.MasterKey), ("FLOWSTONE_KMS_KEY", options.KmsKey)];
        var set = sources.Where(source => !string.IsNullOrEmpty(source.Value)).Select(source => source.Name).ToList();
        if (set.Count > 1)
            throw new InvalidInputException(set[1], $"is set, and so is {set[0]}: set one of them.");
        var old = (options.OldMasterKeys ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var oldOfKms = old.FirstOrDefault(IsOfKms);
        var oldHere = old.Where(key => !IsOfKms(key)).Select(text => LocalKey.Parse(Old, text)).ToList();
        return set switch
        {
            [] when old.Length > 0 => throw new InvalidInputException(Old, "goes with FLOWSTONE_MASTER_KEY, FLOWSTONE_KEY_FILE or FLOWSTONE_KMS_KEY, which is the current key."),
            [] => null,
            ["FLOWSTONE_KMS_KEY"] when oldHere.Count > 0 => new KeyRings(new KmsKeyRing(options.KmsKey!), new LocalKeyRing(oldHere)),
            ["FLOWSTONE_KMS_KEY"] => new KmsKeyRing(options.KmsKey!),
            _ when oldOfKms is not null => new KeyRings(Local(), new KmsKeyRing(oldOfKms)),
            _ => Local(),
        };

        LocalKeyRing Local() => new([.. set is [KeyFile.Setting] ? KeyFile.Read(options.KeyFile!) : [LocalKey.Parse("FLOWSTONE_MASTER_KEY", options.MasterKey!)], .. oldHere]);
    }

    static bool IsOfKms(string key) => key.StartsWith("arn:", StringComparison.Ordinal);
}
