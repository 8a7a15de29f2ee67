using Flowstone.Executions;
using Flowstone.Server.Auth;
using Flowstone.Tenancy;
using Flowstone.Workflows;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Flowstone.Server.Executions;

/// <summary>How large payloads may be, what becomes of larger ones, and whether they are encrypted.</summary>
static class PayloadPolicyEndpoints
{
    public static void MapPayloadPolicies(this IEndpointRouteBuilder app)
    {
        app.MapGet("/workflows/{id}/payload-policy", OfWorkflow).WithTags("Workflows");
        app.MapPut("/workflows/{id}/payload-policy", SetOfWorkflow).WithExample("""{"limitBytes":1000000,"overflow":"TRUNCATE"}""").WithTags("Workflows");
        app.MapGet("/tenant/payload-policy", OfTenant).WithTags("Tenant");
        app.MapPut("/tenant/payload-policy", SetOfTenant).WithExample("""{"seal":true,"limitBytes":1000000,"overflow":"TRUNCATE"}""").WithTags("Tenant").RequireAuthorization(Access.Administrators);
    }

    static async Task<Ok<PayloadPolicy>> OfWorkflow(Id<Workflow> id, TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.PayloadPolicies.GetAsync(id, cancellationToken));

    /// <summary>Replaces the workflow's policy; what is null its tenant decides.</summary>
    static async Task<Ok<PayloadPolicy>> SetOfWorkflow(Id<Workflow> id, PayloadPolicy policy, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.PayloadPolicies.SetAsync(id, policy, cancellationToken);
        return TypedResults.Ok(policy);
    }

    static async Task<Ok<TenantPayloadPolicy>> OfTenant(TenantScope tenant, CancellationToken cancellationToken)
        => TypedResults.Ok(await tenant.PayloadPolicies.GetAsync(cancellationToken));

    /// <summary>Replaces the tenant's policy.</summary>
    static async Task<Ok<TenantPayloadPolicy>> SetOfTenant(TenantPayloadPolicy policy, TenantScope tenant, CancellationToken cancellationToken)
    {
        await tenant.PayloadPolicies.SetAsync(policy, cancellationToken);
        return TypedResults.Ok(policy);
    }
}
