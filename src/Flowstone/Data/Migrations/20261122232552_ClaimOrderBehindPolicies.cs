using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <inheritdoc />
    public partial class ClaimOrderBehindPolicies : Migration
    {
        // Still an expression, for the reason that ClaimOrder gives, but a leakproof one: only such can be compared by an index behind a policy, and
        // a claim begins past the dead rows only by that. The id of zeros is nobody's.
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("""
            drop index flowstone.ix_execution_queue_claim;
            create index ix_execution_queue_claim on flowstone.execution_queue
                (tenant_id, priority desc, visible_at, nullif(execution_id, '00000000-0000-0000-0000-000000000000'));
            """);

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("""
            drop index flowstone.ix_execution_queue_claim;
            create index ix_execution_queue_claim on flowstone.execution_queue (tenant_id, priority desc, visible_at, uuid_send(execution_id));
            """);
    }
}
