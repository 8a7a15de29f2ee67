using System.Text.Json;
using Flowstone.Data;
using Flowstone.Tenancy;
using Flowstone.Workflows;

namespace Flowstone.Tests.Data;

public sealed class IdTests
{
    [Fact]
    public void Ids_sort_by_creation_and_know_when_they_were_made()
    {
        var clock = new ManualClock();
        var ids = new List<Id<Workflow>>();
        for (var i = 0; i < 100; i++)
        {
            ids.Add(Id<Workflow>.New(clock));
            Assert.Equal(clock.Now().ToUnixTimeMilliseconds(), ids[i].CreatedAt.ToUnixTimeMilliseconds());
            clock.Advance(TimeSpan.FromMilliseconds(1));
        }
        Assert.Equal(ids, ids.Order());
        Assert.Equal(ids, ids.OrderBy(id => id.ToString(), StringComparer.Ordinal));   // as PostgreSQL compares
        Assert.True(ids[0] < ids[1] && ids[1] > ids[0] && ids[0] <= ids[1] && ids[1] >= ids[0]);
    }

    [Fact]
    public void An_id_is_read_only_from_the_usual_form()
    {
        var id = Id<Tenant>.New(TimeProvider.System);
        Assert.Equal(id, Id<Tenant>.Parse(id.ToString()));
        foreach (var bad in new[] { null, "", "x", id.Value.ToString("N"), id.Value.ToString("B") })
            Assert.False(Id<Tenant>.TryParse(bad, null, out _), bad);
        Assert.Throws<FormatException>(() => Id<Tenant>.Parse("x"));
    }

    [Fact]
    public void In_JSON_an_id_is_a_string()
    {
        var id = Id<Tenant>.New(TimeProvider.System);
        Assert.Equal($"\"{id}\"", JsonSerializer.Serialize(id, FlowstoneJson.Options));
        Assert.Equal(id, JsonSerializer.Deserialize<Id<Tenant>>($"\"{id}\"", FlowstoneJson.Options));
        Assert.Equal("null", JsonSerializer.Serialize<Id<Tenant>?>(null, FlowstoneJson.Options));
        foreach (var bad in new[] { "\"x\"", "7", "null", "{}" })
            Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Id<Tenant>>(bad, FlowstoneJson.Options));
    }
}
