using Flowstone.Cli;

return await FlowstoneCommand.RunAsync(args);
