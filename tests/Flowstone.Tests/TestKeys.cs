using System.Security.Cryptography;
using Flowstone.Credentials;

namespace Flowstone.Tests;

/// <summary>The one master key of the shared database: a server on it refuses to start without.</summary>
static class TestKeys
{
    public static readonly string Text = Convert.ToBase64String(SHA256.HashData("the master key of the tests"u8));

    internal static readonly LocalKeyRing Ring = new([LocalKey.Parse("test", Text)]);

    /// <summary>Another one: only for databases that are a test's own.</summary>
    internal static LocalKey New() => new(RandomNumberGenerator.GetBytes(32));
}
