using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Which version runs, category, template, and the trash.</summary>
    public partial class Publishing : Migration
    {
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "category",
                schema: "flowstone",
                table: "workflows",
                type: "character varying(255)",
                maxLength: 255,
                nullable: true);

            migrationBuilder.AddColumn<DateTimeOffset>(
                name: "deleted_at",
                schema: "flowstone",
                table: "workflows",
                type: "timestamp with time zone",
                nullable: true);

            migrationBuilder.AddColumn<bool>(
                name: "is_template",
                schema: "flowstone",
                table: "workflows",
                type: "boolean",
                nullable: false,
                defaultValue: false);

            migrationBuilder.AddColumn<int>(
                name: "published_version",
                schema: "flowstone",
                table: "workflows",
                type: "integer",
                nullable: true);
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
