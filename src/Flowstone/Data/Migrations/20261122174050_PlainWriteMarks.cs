using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Flowstone.Data.Migrations
{
    /// <inheritdoc />
    public partial class PlainWriteMarks : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            // A mark is asked for within seconds, or never.
            migrationBuilder.Sql("truncate flowstone.write_marks;");

            migrationBuilder.DropPrimaryKey(
                name: "pk_write_marks",
                schema: "flowstone",
                table: "write_marks");

            migrationBuilder.DropColumn(
                name: "statement",
                schema: "flowstone",
                table: "write_marks");

            migrationBuilder.DropColumn(
                name: "calls",
                schema: "flowstone",
                table: "write_marks");

            migrationBuilder.AddPrimaryKey(
                name: "pk_write_marks",
                schema: "flowstone",
                table: "write_marks",
                columns: new[] { "tenant_id", "group_id" });
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropPrimaryKey(
                name: "pk_write_marks",
                schema: "flowstone",
                table: "write_marks");

            migrationBuilder.AddColumn<short>(
                name: "statement",
                schema: "flowstone",
                table: "write_marks",
                type: "smallint",
                nullable: false,
                defaultValue: (short)0);

            migrationBuilder.AddColumn<int[]>(
                name: "calls",
                schema: "flowstone",
                table: "write_marks",
                type: "integer[]",
                nullable: true);

            migrationBuilder.AddPrimaryKey(
                name: "pk_write_marks",
                schema: "flowstone",
                table: "write_marks",
                columns: new[] { "tenant_id", "group_id", "statement" });
        }
    }
}
