using Flowstone.Data;
using Npgsql;

namespace Flowstone.Tests.Data;

public sealed class DatabaseUrlTests
{
    [Theory]
    [InlineData("postgres://ada:secret@db.example:6432/flow", "db.example", 6432, "ada", "secret", "flow")]
    [InlineData("postgresql://ada@db.example/flow", "db.example", 5432, "ada", null, "flow")]
    [InlineData("postgres://db.example", "db.example", 5432, null, null, null)]
    [InlineData("postgres://ada:p%40ss%2Fw%3Ard%25@db/flow%20stone", "db", 5432, "ada", "p@ss/w:rd%", "flow stone")]
    [InlineData("postgres://ada:a:b@c@db/flow", "db", 5432, "ada", "a:b@c", "flow")]
    [InlineData("postgres://a%40b:x@db/flow", "db", 5432, "a@b", "x", "flow")]
    [InlineData("postgres://ada:x@a:5433,b:5434/flow", "a:5433,b:5434", 5432, "ada", "x", "flow")]
    [InlineData("postgres://ada:x@[::1]:6000/flow", "[::1]", 6000, "ada", "x", "flow")]
    [InlineData("postgres://ada:x@[fe80::1]/flow", "[fe80::1]", 5432, "ada", "x", "flow")]
    [InlineData("postgres://ada:x@%2Fvar%2Frun/flow", "/var/run", 5432, "ada", "x", "flow")]
    [InlineData("postgres://ada:x@/flow?host=/var/my-run", "/var/my-run", 5432, "ada", "x", "flow")]
    [InlineData("Host=db;Port=6000;Username=ada;Password='a;b';Database=flow", "db", 6000, "ada", "a;b", "flow")]
    public void Both_forms_are_read(string text, string host, int port, string? user, string? password, string? database)
    {
        var read = DatabaseUrl.Parse(text);
        Assert.Equal((host, port, user, password, database), (read.Host, read.Port, read.Username, read.Password, read.Database));
    }

    [Theory]
    [InlineData("disable", SslMode.Disable)]
    [InlineData("require", SslMode.Require)]
    [InlineData("verify-ca", SslMode.VerifyCA)]
    [InlineData("verify-full", SslMode.VerifyFull)]
    public void Sslmode_is_that_of_libpq(string text, SslMode mode) => Assert.Equal(mode, DatabaseUrl.Parse($"postgres://a@b/c?sslmode={text}").SslMode);

    [Fact]
    public void Options_keep_their_hyphens_and_what_Prisma_adds_is_left_out()
    {
        var read = DatabaseUrl.Parse("postgres://a@b/c?application_name=my-app%20%31&connect_timeout=7&target_session_attrs=read-write&channel_binding=require&schema=public&connection_limit=5&pgbouncer=true&");
        Assert.Equal(("my-app 1", 7, "read-write"), (read.ApplicationName, read.Timeout, read.TargetSessionAttributes));
        Assert.Equal(ChannelBinding.Require, read.ChannelBinding);
    }

    [Theory]
    [InlineData("postgres://ada:S3cret@db:port/flow")]
    [InlineData("postgres://ada:S3cret@db:99999999999/flow")]
    [InlineData("postgres://ada:S3cret@db/flow?sslmode=S3cret")]
    [InlineData("postgres://ada:S3cret@db/flow?S3cret=1")]
    [InlineData("postgres://ada:S3cret/more@db/flow")]
    [InlineData("Host=db;S3cret=x")]
    [InlineData("Host=db;Port=S3cret")]
    [InlineData("S3cret")]
    [InlineData("mysql://ada:S3cret@db/flow")]
    public void What_cannot_be_read_is_told_without_repeating_it(string text)
    {
        var error = Assert.Throws<ArgumentException>(() => DatabaseUrl.Parse(text));
        Assert.Contains("DATABASE_URL", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("S3cret", error.ToString(), StringComparison.Ordinal);
    }
}
