using System.Text;

namespace Flowstone.Benchmarks;

/// <summary>A table for the screen and, the same text, for Markdown.</summary>
sealed class Table(params string[] columns)
{
    readonly List<string[]> rows = [];

    public void Add(params string[] cells) => rows.Add(cells);

    public override string ToString()
    {
        var widths = columns.Select((column, i) => rows.Select(row => row[i].Length).Append(column.Length).Max()).ToArray();
        var text = new StringBuilder();
        Line(columns);
        text.Append('|').AppendJoin('|', widths.Select((width, i) => new string('-', width + 1) + (i == 0 ? "-" : ":"))).Append("|\n");
        foreach (var row in rows)
            Line(row);
        return text.ToString();

        void Line(string[] cells)
            => text.Append('|').AppendJoin('|', cells.Select((cell, i) => i == 0 ? $" {cell.PadRight(widths[i])} " : $" {cell.PadLeft(widths[i])} ")).Append("|\n");
    }
}
