using System.Globalization;
using System.Text;

namespace Flowstone.Benchmarks;

/// <summary>Bars in groups on a logarithmic axis, as SVG: what a table says, at a glance.</summary>
/// <param name="Series">Name and, per group, the value.</param>
sealed record Plot(string Title, string Groups, IReadOnlyList<string> Labels, IReadOnlyList<(string Name, double[] Values)> Series)
{
    const int Width = 760, Height = 380, Left = 56, Right = 16, Top = 74, Bottom = 52;
    static readonly string[] colours = ["#2563eb", "#94a3b8", "#f59e0b", "#dc2626"];

    public string Svg()
    {
        var most = (int)Math.Ceiling(Math.Log10(Series.Max(series => series.Values.Max())));
        var least = Math.Min((int)Math.Floor(Math.Log10(Series.Min(series => series.Values.Where(value => value > 0).Min()))), most - 1);
        var svg = new StringBuilder();
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" font-family="system-ui, sans-serif" font-size="12" fill="#334155">""");
        Add($"""<rect width="{Width}" height="{Height}" fill="#ffffff"/>""");
        Add($"""<text x="{Left}" y="26" font-size="16" font-weight="600" fill="#0f172a">{Title}</text>""");
        for (var i = 0; i < Series.Count; i++)
        {
            Add($"""<rect x="{Left + (150 * i)}" y="42" width="12" height="12" rx="2" fill="{colours[i]}"/>""");
            Add($"""<text x="{Left + 18 + (150 * i)}" y="52">{Series[i].Name}</text>""");
        }
        for (var power = least; power <= most; power++)
        {
            var y = Y(Math.Pow(10, power));
            Add($"""<line x1="{Left}" x2="{Width - Right}" y1="{y:0.0}" y2="{y:0.0}" stroke="#e2e8f0"/>""");
            Add($"""<text x="{Left - 8}" y="{y + 4:0.0}" text-anchor="end">{Math.Pow(10, power):N0}</text>""");
        }
        var group = (double)(Width - Left - Right) / Labels.Count;
        var bar = group * 0.8 / Series.Count;
        for (var i = 0; i < Labels.Count; i++)
        {
            var start = Left + (group * i) + (group * 0.1);
            Add($"""<text x="{start + (group * 0.4):0.0}" y="{Height - Bottom + 18}" text-anchor="middle" font-weight="600">{Labels[i]}</text>""");
            for (var j = 0; j < Series.Count; j++)
            {
                var (x, y) = (start + (bar * j), Y(Series[j].Values[i]));
                Add($"""<rect x="{x:0.0}" y="{y:0.0}" width="{bar - 3:0.0}" height="{Height - Bottom - y:0.0}" rx="2" fill="{colours[j]}"/>""");
                Add($"""<text x="{x + ((bar - 3) / 2):0.0}" y="{y - 4:0.0}" text-anchor="middle" font-size="11">{Figures.Number(Series[j].Values[i])}</text>""");
            }
        }
        Add($"""<text x="{Left + ((Width - Left - Right) / 2)}" y="{Height - 12}" text-anchor="middle">{Groups}</text>""");
        Add($"</svg>");
        return svg.ToString();

        double Y(double value) => Top + ((Height - Top - Bottom) * (most - Math.Log10(Math.Max(value, Math.Pow(10, least)))) / (most - least));

        void Add(FormattableString line) => svg.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}
