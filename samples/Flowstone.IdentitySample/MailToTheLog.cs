using Flowstone.Users.Identity;
using Microsoft.AspNetCore.Identity;

namespace Flowstone.IdentitySample;

/// <summary>Instead of mail. For trying things out only: whoever reads the log can sign in.</summary>
public sealed partial class MailToTheLog(ILogger<MailToTheLog> log) : IEmailSender<FlowstoneUser>
{
    public Task SendConfirmationLinkAsync(FlowstoneUser user, string email, string confirmationLink) => Send(email, $"Confirm your address: {confirmationLink}");

    public Task SendPasswordResetLinkAsync(FlowstoneUser user, string email, string resetLink) => Send(email, $"Set a new password: {resetLink}");

    public Task SendPasswordResetCodeAsync(FlowstoneUser user, string email, string resetCode) => Send(email, $"Your code for a new password: {resetCode}");

    Task Send(string to, string text)
    {
        Mail(to, text);
        return Task.CompletedTask;
    }

    [LoggerMessage(LogLevel.Information, "To {To}: {Text}")]
    partial void Mail(string to, string text);
}
