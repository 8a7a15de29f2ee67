namespace Flowstone.Cli.Simulation;

/// <summary>
/// What hangs together in loops (Tarjan 1972). Without recursion: a definition may be a chain of thousands of nodes, and a stack overflow
/// ends the process.
/// </summary>
sealed class StrongComponents
{
    readonly int[][] targets;
    readonly int[] index;
    readonly int[] low;
    readonly bool[] open;
    readonly Stack<int> pending = new();
    readonly Stack<(int Node, int Edge)> calls = new();
    readonly List<int[]> found = [];
    int next = 1;

    StrongComponents(int[][] targets)
    {
        this.targets = targets;
        (index, low, open) = (new int[targets.Length], new int[targets.Length], new bool[targets.Length]);
    }

    /// <param name="targets">Per node, where its edges go.</param>
    /// <returns>Every node in one component; a component comes before those that its edges lead to.</returns>
    public static List<int[]> InTopologicalOrder(int[][] targets)
    {
        var search = new StrongComponents(targets);
        // Components are found last first. So the last node goes first: what nothing connects then keeps the order of the definition.
        for (var node = targets.Length - 1; node >= 0; node--)
        {
            if (search.index[node] == 0)
                search.Visit(node);
        }
        search.found.Reverse();
        return search.found;
    }

    void Visit(int root)
    {
        Open(root);
        while (calls.TryPop(out var call))
        {
            var (node, edge) = call;
            if (edge < targets[node].Length)
            {
                calls.Push((node, edge + 1));
                var target = targets[node][edge];
                if (index[target] == 0)
                    Open(target);
                else if (open[target])
                    low[node] = Math.Min(low[node], index[target]);
                continue;
            }
            if (calls.TryPeek(out var caller))
                low[caller.Node] = Math.Min(low[caller.Node], low[node]);
            if (low[node] == index[node])
                found.Add(Close(node));
        }
    }

    void Open(int node)
    {
        index[node] = low[node] = next++;
        open[node] = true;
        pending.Push(node);
        calls.Push((node, 0));
    }

    int[] Close(int root)
    {
        var component = new List<int>();
        int node;
        do
        {
            node = pending.Pop();
            open[node] = false;
            component.Add(node);
        }
        while (node != root);
        component.Sort();
        return [.. component];
    }
}
