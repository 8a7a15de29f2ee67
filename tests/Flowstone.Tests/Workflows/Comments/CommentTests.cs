using Flowstone.Permissions;
using Flowstone.Tenancy;
using Flowstone.Users;
using Flowstone.Workflows;

namespace Flowstone.Tests.Workflows.Comments;

public sealed class CommentTests(TestDatabase database)
{
    [Fact]
    public async Task A_comment_is_kept_as_it_was_given_and_resolved_once()
    {
        var (tenant, workflow, author) = await NewAsync();
        var made = await author.Comments.CreateAsync(workflow.Id, new() { Text = "Why twice?", NodeId = "n1", X = 12.5, Y = -3 });
        Assert.Equal(("Why twice?", "n1", 12.5, -3.0, author.Actor.UserId, null), (made.Text, made.NodeId, made.X!.Value, made.Y!.Value, made.AuthorId, made.ResolvedAt));
        Assert.Equal(made, await author.Comments.FindAsync(workflow.Id, made.Id));

        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        var resolved = await tenant.Scope.Comments.UpdateAsync(workflow.Id, made.Id, new() { Resolved = true });
        Assert.Equal((tenant.Clock.Now(), made.UpdatedAt, null), (resolved.ResolvedAt!.Value, resolved.UpdatedAt, resolved.ResolvedBy));
        tenant.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(resolved, await author.Comments.UpdateAsync(workflow.Id, made.Id, new() { Resolved = true }));
        var changed = await author.Comments.UpdateAsync(workflow.Id, made.Id, new() { Text = "Why?", Resolved = false });
        Assert.Equal(("Why?", null, tenant.Clock.Now(), made.X), (changed.Text, changed.ResolvedAt, changed.UpdatedAt, changed.X));
    }

    [Fact]
    public async Task A_comment_stays_when_its_node_goes_and_says_so()
    {
        var (tenant, workflow, author) = await NewAsync();
        await author.Comments.CreateAsync(workflow.Id, new() { Text = "On the node", NodeId = "n2" });
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        await author.Comments.CreateAsync(workflow.Id, new() { Text = "On the workflow" });
        Assert.DoesNotContain(await author.Comments.ListAsync(workflow.Id, new(), null, 10), c => c.NodeIsGone);

        await tenant.Scope.Workflows.UpdateAsync(workflow.Id, TestTenant.Definition(nodes: 2), basedOn: 1);
        Assert.Equal([("On the workflow", false), ("On the node", true)], (await author.Comments.ListAsync(workflow.Id, new(), null, 10)).Select(c => (c.Comment.Text, c.NodeIsGone)));
        Assert.Equal("n2", Assert.Single(await author.Comments.ListAsync(workflow.Id, new() { NodeId = "n2" }, null, 10)).Comment.NodeId);
        await Assert.ThrowsAsync<InvalidInputException>(() => author.Comments.CreateAsync(workflow.Id, new() { Text = "Too late", NodeId = "n2" }));
    }

    [Fact]
    public async Task Answers_go_with_what_they_answer_and_are_not_answered()
    {
        var (tenant, workflow, author) = await NewAsync();
        var question = await author.Comments.CreateAsync(workflow.Id, new() { Text = "Why?" });
        tenant.Clock.Advance(TimeSpan.FromSeconds(1));
        var answer = await tenant.Scope.Comments.CreateAsync(workflow.Id, new() { Text = "Because.", ParentId = question.Id });
        await Assert.ThrowsAsync<InvalidInputException>(() => author.Comments.CreateAsync(workflow.Id, new() { Text = "Oh.", ParentId = answer.Id }));
        var other = await tenant.CreateWorkflowAsync();
        await Assert.ThrowsAsync<InvalidInputException>(() => tenant.Scope.Comments.CreateAsync(other.Id, new() { Text = "Elsewhere", ParentId = question.Id }));

        Assert.Equal([answer.Id, question.Id], (await author.Comments.ListAsync(workflow.Id, new(), null, 10)).Select(c => c.Comment.Id));
        Assert.Equal([question.Id], (await author.Comments.ListAsync(workflow.Id, new() { Resolved = false }, answer.Id, 10)).Select(c => c.Comment.Id));
        Assert.True(await author.Comments.DeleteAsync(workflow.Id, question.Id));
        Assert.Empty(await author.Comments.ListAsync(workflow.Id, new(), null, 10));
        Assert.False(await author.Comments.DeleteAsync(workflow.Id, question.Id));
    }

    [Fact]
    public async Task Others_comments_are_changed_by_administrators_and_resolved_by_those_who_may_write()
    {
        var (tenant, workflow, author) = await NewAsync();
        var (reader, writer, stranger, seer) = (await UserAsync(tenant), await UserAsync(tenant), await UserAsync(tenant), await UserAsync(tenant, UserRole.Viewer));
        await tenant.Scope.Shares.SetAsync(workflow.Id, reader.Actor.UserId!.Value, ShareLevel.Read);
        await tenant.Scope.Shares.SetAsync(workflow.Id, writer.Actor.UserId!.Value, ShareLevel.Write);
        await tenant.Scope.Shares.SetAsync(workflow.Id, seer.Actor.UserId!.Value, ShareLevel.Admin);
        var comment = await reader.Comments.CreateAsync(workflow.Id, new() { Text = "Mine" });

        await Assert.ThrowsAsync<NotFoundException>(() => stranger.Comments.CreateAsync(workflow.Id, new() { Text = "Hello" }));
        await Assert.ThrowsAsync<NotFoundException>(() => stranger.Comments.UpdateAsync(workflow.Id, comment.Id, new() { Text = "Theirs" }));
        await Assert.ThrowsAsync<AccessDeniedException>(() => writer.Comments.UpdateAsync(workflow.Id, comment.Id, new() { Text = "Theirs" }));
        await Assert.ThrowsAsync<AccessDeniedException>(() => writer.Comments.DeleteAsync(workflow.Id, comment.Id));
        Assert.NotNull((await writer.Comments.UpdateAsync(workflow.Id, comment.Id, new() { Resolved = true })).ResolvedAt);
        var seen = await seer.Comments.CreateAsync(workflow.Id, new() { Text = "A viewer's" });
        await Assert.ThrowsAsync<AccessDeniedException>(() => reader.Comments.UpdateAsync(workflow.Id, seen.Id, new() { Resolved = true }));
        await Assert.ThrowsAsync<AccessDeniedException>(() => seer.Comments.DeleteAsync(workflow.Id, comment.Id));
        Assert.Equal("Corrected", (await author.Comments.UpdateAsync(workflow.Id, comment.Id, new() { Text = "Corrected" })).Text);   // the workflow's owner
        await tenant.Scope.Workflows.SetAsync(workflow.Id, null, Visibility.Public);
        await Assert.ThrowsAsync<AccessDeniedException>(() => stranger.Comments.ListAsync(workflow.Id, new(), null, 10));
    }

    [Theory]
    [InlineData("", null, null, "text")]
    [InlineData("text", 1.0, null, "y")]
    [InlineData("text", double.NaN, 1.0, "x")]
    [InlineData("nul\0", null, null, "text")]
    public async Task What_does_not_fit_is_refused_by_name(string text, double? x, double? y, string field)
    {
        var (_, workflow, author) = await NewAsync();
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => author.Comments.CreateAsync(workflow.Id, new() { Text = text, X = x, Y = y }));
        Assert.Equal(field, Assert.Single(refused.Errors).Field);
    }

    async Task<(TestTenant Tenant, Workflow Workflow, TenantScope Author)> NewAsync()
    {
        var tenant = await database.NewTenantAsync();
        var author = await UserAsync(tenant);
        return (tenant, await author.Workflows.CreateAsync(new NewWorkflow { Definition = TestTenant.Definition() }), author);
    }

    static async Task<TenantScope> UserAsync(TestTenant tenant, UserRole role = UserRole.User)
        => tenant.Store.Tenant(tenant.Id, Actor.User((await tenant.Scope.Users.CreateAsync(new NewUser { Email = $"{Path.GetRandomFileName()}@example.com", Role = role })).Id));
}
