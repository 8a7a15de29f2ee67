using Flowstone.Server;

await using var app = FlowstoneServer.Build(args);
return await FlowstoneServer.RunAsync(app);
