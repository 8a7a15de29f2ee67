namespace Flowstone.Tests.Executions.Payloads;

/// <summary>A folder for one test's objects.</summary>
sealed class ObjectFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("flowstone-objects-").FullName;

    public string[] Files => Directory.GetFiles(Path, "*", SearchOption.AllDirectories);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
