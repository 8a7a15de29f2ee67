using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>How far a rotation of data keys came, and which keys are closed.</summary>
    public partial class KeyProgress : Migration
    {
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "closed_at",
                schema: "flowstone",
                table: "data_keys",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "resealed_at",
                schema: "flowstone",
                table: "data_keys",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.CreateIndex(
                name: "ix_data_keys_unfinished",
                schema: "flowstone",
                table: "data_keys",
                columns: new[] { "tenant_id", "retired_at" },
                filter: "retired_at is not null and resealed_at is null and destroyed_at is null");
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
