using System.CommandLine;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Flowstone.Server;
using Microsoft.Extensions.Logging;

namespace Flowstone.Cli;

static class ServeCommand
{
    public static Command Create()
    {
        var command = new Command("serve", "Run HTTP API, console and background jobs on a database that was given and migrated.")
        { ServerOptions.Port, ServerOptions.Address }.WithExample("DATABASE_URL=postgres://flowstone@db/flowstone flowstone serve --address 0.0.0.0");
        command.SetAction(async (arguments, cancellationToken) =>
        {
            if (OpenStore.GivenDatabase(arguments) is not { } database)
                throw new InvalidInputException("DATABASE_URL", "is not set. 'flowstone up' brings a database of its own.");
            await using var app = FlowstoneServer.Build([], ServerOptions.Configure(arguments, database));
            return await FlowstoneServer.RunAsync(app, url => Output.Line($"Flowstone serves {url}"), cancellationToken);
        });
        return command;
    }
}

/// <summary>Where the server listens.</summary>
static class ServerOptions
{
    public static readonly Option<int> Port = new("--port") { Description = "The TCP port.", DefaultValueFactory = _ => 5080 };

    public static readonly Option<string> Address = new("--address")
    {
        Description = "The address to listen on. Others than this machine reach it only if you say so; put TLS in front then.",
        DefaultValueFactory = _ => "127.0.0.1",
    };

    public static Action<WebApplicationBuilder> Configure(ParseResult arguments, string database, string? keyFile = null) => builder =>
    {
        builder.Configuration["DATABASE_URL"] = database;
        if (keyFile is not null)
            builder.Configuration["FLOWSTONE_KEY_FILE"] = keyFile;
        builder.Logging.AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);   // the command says what a person needs to know
        builder.WebHost.UseUrls($"http://{arguments.GetValue(Address)}:{arguments.GetValue(Port)}");
    };
}
