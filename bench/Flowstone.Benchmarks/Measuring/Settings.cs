namespace Flowstone.Benchmarks;

/// <summary>What every benchmark can be told.</summary>
/// <param name="Seconds">Length of a round.</param>
/// <param name="Pool">Connections of Flowstone's store.</param>
/// <param name="PeerPool">Connections of every peer.</param>
/// <param name="Only">Names of sides; empty is all.</param>
/// <param name="Fresh">Without history and statistics, as in the first minute of a new database.</param>
/// <param name="FloorConnections">Connections of the hand-written group commit.</param>
sealed record Settings(string? Database, int Rounds, double Seconds, int[] InFlight, int Pool, int FloorConnections, int PeerPool, string[] Only, bool Fresh, bool Save)
{
    public bool Measures(string side) => Only.Length == 0 || Only.Contains(side);
}
