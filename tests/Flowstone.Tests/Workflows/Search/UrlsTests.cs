using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Search;

public sealed class UrlsTests
{
    [Theory]
    [InlineData("https://api.example.com/v1/orders", "https://api.example.com/v1/orders api.example.com")]
    [InlineData("=HTTPS://Api.Example.com:8443/Orders/?key=secret#part", "https://api.example.com:8443/Orders api.example.com")]
    [InlineData("={{ 'https://a.example/x' + $json.id }} and http://b.example.", "https://a.example/x a.example, http://b.example b.example")]
    [InlineData("=https://a.example/users/{{ $json.id }}/posts", "https://a.example/users a.example")]
    [InlineData("https://name:word@a.example/x", "https://a.example/x a.example")]
    [InlineData("wss://[2001:db8::1]:9000/live", "wss://[2001:db8::1]:9000/live [2001:db8::1]")]
    [InlineData("https://bücher.example/ü (see http://c.example/d)", "https://bücher.example/ü bücher.example, http://c.example/d c.example")]
    [InlineData("https://{{ $json.host }}/x ${https://} ftp://d.example http:// https://$host/", "")]
    [InlineData("nothing at all", "")]
    public void Urls_are_found_as_far_as_they_are_written_out(string text, string expected)
        => Assert.Equal(expected, string.Join(", ", Urls.In(text).Select(url => $"{url.Whole} {url.Host}")));

    [Theory]
    [InlineData("HTTPS://A.example/x/?q=1", "https://a.example/x")]
    [InlineData(" Api.Example.COM ", "api.example.com")]
    public void What_is_sought_is_written_as_it_is_kept(string text, string expected) => Assert.Equal(expected, Urls.Sought(text));
}
