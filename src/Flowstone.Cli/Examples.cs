using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Runtime.CompilerServices;

namespace Flowstone.Cli;

/// <summary>An example at the end of a command's help, and not in the list of its parent.</summary>
static class Examples
{
    static readonly ConditionalWeakTable<Command, string> examples = [];

    public static Command WithExample(this Command command, string example)
    {
        examples.Add(command, example);
        return command;
    }

    /// <summary>Lets the root's <c>--help</c>, which is every command's, end with the example.</summary>
    public static RootCommand ShowExamples(this RootCommand root)
    {
        foreach (var help in root.Options.OfType<HelpOption>())
            help.Action = new HelpWithExample((HelpAction)help.Action!);
        return root;
    }

    sealed class HelpWithExample(HelpAction help) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var code = help.Invoke(parseResult);
            if (examples.TryGetValue(parseResult.CommandResult.Command, out var example))
                parseResult.InvocationConfiguration.Output.Write($"Example:\n  {example}\n");
            return code;
        }
    }
}
