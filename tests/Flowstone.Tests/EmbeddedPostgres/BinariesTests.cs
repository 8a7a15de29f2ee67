namespace Flowstone.Tests.EmbeddedPostgres;

public sealed class BinariesTests
{
    [Fact]
    public async Task Without_any_PostgreSQL_the_message_says_how_to_install_it()
    {
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => PostgresBinaries.ChooseAsync(["/nowhere"], null, CancellationToken.None));
        Assert.Contains("No PostgreSQL is installed here", error.Message);
        Assert.Matches("install.* postgresql", error.Message);
    }

    [Fact]
    public async Task A_folder_without_the_programs_is_named()
    {
        await using var folder = new TestFolder();
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(
            () => Flowstone.EmbeddedPostgres.StartAsync(folder.Options with { Binaries = "/usr/share" }));
        Assert.Contains("/usr/share has no PostgreSQL programs", error.Message);
    }

    [Fact]
    public async Task The_newest_is_chosen_or_the_clusters_own()
    {
        await using var folder = new TestFolder();
        string[] folders = [Fake("14.9"), Fake("16.3"), Fake("17.10"), Fake("17.9"), Fake("19beta1"), "/nowhere"];

        Assert.Equal(new Version(19, 0), (await PostgresBinaries.ChooseAsync(folders, null, CancellationToken.None)).Version);
        Assert.Equal(new Version(17, 10), (await PostgresBinaries.ChooseAsync(folders, 17, CancellationToken.None)).Version);
        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => PostgresBinaries.ChooseAsync(folders, 18, CancellationToken.None));
        Assert.Contains("data are of PostgreSQL 18", error.Message);
        Assert.Contains("16.3 in ", error.Message);
        error = await Assert.ThrowsAsync<EmbeddedPostgresException>(() => PostgresBinaries.ChooseAsync(folders[..1], null, CancellationToken.None));
        Assert.Contains("15 or later is needed", error.Message);

        string Fake(string version)
        {
            var bin = Path.Combine(folder.Path, version);
            Directory.CreateDirectory(bin);
            foreach (var program in (string[])["postgres", "initdb", "pg_ctl"])
            {
                File.WriteAllText(Path.Combine(bin, program), $"#!/bin/sh\necho 'postgres (PostgreSQL) {version} (Fake)'\n");
                File.SetUnixFileMode(Path.Combine(bin, program), FolderAccess.OwnerOnly);
            }
            return bin;
        }
    }

    [Fact]
    public async Task Data_of_another_major_version_are_left_alone()
    {
        await using var folder = await TestFolder.WithClusterAsync();
        await File.WriteAllTextAsync(Path.Combine(folder.Data, "PG_VERSION"), "99\n");

        var error = await Assert.ThrowsAsync<EmbeddedPostgresException>(folder.StartAsync);
        Assert.Contains("data are of PostgreSQL 99", error.Message);
        Assert.Contains("postgresql-99", error.Message);
    }
}
