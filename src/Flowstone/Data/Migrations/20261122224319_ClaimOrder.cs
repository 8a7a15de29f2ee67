using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <inheritdoc />
    public partial class ClaimOrder : Migration
    {
        // The last column only puts rows of one time in order. As an expression it is nothing that a look-up by key could use: while the queue is
        // empty and its dead rows are kept by an old snapshot, the planner holds all indexes for equal, and would read this one whole for every key.
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("""
            drop index flowstone.ix_execution_queue_claim;
            create index ix_execution_queue_claim on flowstone.execution_queue (tenant_id, priority desc, visible_at, uuid_send(execution_id));
            """);

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql("""
            drop index flowstone.ix_execution_queue_claim;
            create index ix_execution_queue_claim on flowstone.execution_queue (tenant_id, priority desc, visible_at, execution_id);
            """);
    }
}
