// A platform whose users ASP.NET Core Identity signs in, and Flowstone keeps. See README.md beside this.
using System.Security.Claims;
using Flowstone;
using Flowstone.IdentitySample;
using Flowstone.Users.Identity;
using Microsoft.AspNetCore.Identity;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddFlowstone();
builder.Services.AddAuthorization();
builder.Services.AddIdentityApiEndpoints<FlowstoneUser>(options => options.SignIn.RequireConfirmedEmail = true).AddFlowstoneStores();
builder.Services.AddSingleton<IEmailSender<FlowstoneUser>, MailToTheLog>();

var app = builder.Build();
app.MapIdentityApi<FlowstoneUser>();
app.MapGet("/workflows", (ClaimsPrincipal me, FlowstoneStore store, CancellationToken cancellationToken)
    => store.Tenant(me).Workflows.ListAsync(new(), before: null, limit: 50, cancellationToken)).RequireAuthorization();
app.Run();
