using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Flowstone.Tests.Executions;

/// <summary>The plans of all that a data source runs, as auto_explain tells them.</summary>
sealed class PlanLog : ILoggerProvider, ILogger
{
    readonly ConcurrentQueue<string> plans = new();

    /// <summary>One connection that prepares what it sends twice.</summary>
    public async Task<NpgsqlDataSource> ConnectAsync(TestDatabase database, string name)
    {
        await database.ExecuteAsync(name, $"""
            alter database {name} set session_preload_libraries = 'auto_explain';
            alter database {name} set auto_explain.log_min_duration = 0;
            alter database {name} set auto_explain.log_nested_statements = on;
            alter database {name} set auto_explain.log_level = 'notice';
            """);
        var settings = new NpgsqlDataSourceBuilder(database.AppConnectionString(name) + ";Maximum Pool Size=1;Max Auto Prepare=64;Auto Prepare Min Usages=2");
        settings.UseLoggerFactory(LoggerFactory.Create(logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(this)));
        return settings.Build();
    }

    public List<string> Take()
    {
        var taken = new List<string>();
        while (plans.TryDequeue(out var plan))
            taken.Add(plan);
        return taken;
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (formatter(state, exception) is var text && text.Contains("  plan:", StringComparison.Ordinal))
            plans.Enqueue(text);
    }

    public ILogger CreateLogger(string categoryName) => this;
    public bool IsEnabled(LogLevel logLevel) => true;
    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;
    public void Dispose()
    {
    }
}
