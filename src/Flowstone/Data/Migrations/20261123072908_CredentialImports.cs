using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <summary>Imported credentials are known again, and public ones are found.</summary>
    public partial class CredentialImports : Migration
    {
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<string>(
                name: "import_key",
                schema: "flowstone",
                table: "credentials",
                type: "character varying(1024)",
                maxLength: 1024,
                nullable: true);

            migrationBuilder.CreateIndex(
                name: "ix_credentials_public",
                schema: "flowstone",
                table: "credentials",
                columns: new[] { "tenant_id", "id" },
                filter: "visibility = 'PUBLIC'");

            migrationBuilder.CreateIndex(
                name: "uq_credentials_import_key",
                schema: "flowstone",
                table: "credentials",
                columns: new[] { "tenant_id", "import_key" },
                unique: true,
                filter: "import_key is not null");
        }

        // Forward only: a release is undone by restoring the backup taken before it.
        protected override void Down(MigrationBuilder migrationBuilder) => throw new NotSupportedException();
    }
}
