using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace Flowstone.Tests.Snapshots;

[Trait("Kind", "Snapshot")]
public sealed class PublicApiTests
{
    const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    [Fact]
    public void What_others_may_use_is_as_reviewed()
    {
        var lines = new[] { typeof(FlowstoneStore), typeof(Flowstone.EmbeddedPostgres) }
            .SelectMany(type => type.Assembly.GetExportedTypes())
            .SelectMany(Lines).Order(StringComparer.Ordinal);
        Snapshot.Match("PublicApi.txt", string.Join('\n', lines) + "\n");
    }

    static IEnumerable<string> Lines(Type type)
    {
        var name = $"{type.Namespace}.{Name(type)}";
        yield return $"{name} : {Kind(type)}";
        foreach (var member in type.GetMembers(Declared).Where(member => IsVisible(member) && !IsNoise(type, member)))
            yield return $"{name}.{Text(member)}";
    }

    static string Kind(Type type)
    {
        var kind = type.IsEnum ? "enum" : type.IsInterface ? "interface" : type.IsValueType ? "struct" : type.IsAbstract && type.IsSealed ? "static class" : type.IsSealed ? "sealed class" : type.IsAbstract ? "abstract class" : "class";
        var parents = new[] { type.BaseType }.Where(b => b is not null && b != typeof(object) && b != typeof(ValueType) && b != typeof(Enum))
            .Concat(type.GetInterfaces().Where(i => i.Name != "IEquatable`1" && !type.IsEnum)).Select(parent => Name(parent!)).Order(StringComparer.Ordinal);
        return string.Join(", ", parents.Prepend(kind));
    }

    static bool IsVisible(MemberInfo member) => member switch
    {
        MethodBase method => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly,
        PropertyInfo property => property.GetAccessors(nonPublic: true).Any(accessor => accessor.IsPublic || accessor.IsFamily || accessor.IsFamilyOrAssembly),
        FieldInfo field => field.IsPublic || field.IsFamily,
        EventInfo => true,
        _ => false,
    };

    // What every record and enum has, and accessors, which their properties tell.
    static bool IsNoise(Type type, MemberInfo member)
        => member.Name is "value__" or "<Clone>$" or "EqualityContract" or "PrintMembers" or "Deconstruct" or "op_Equality" or "op_Inequality" or "Equals" or "GetHashCode" or "ToString"
            || (member is MethodInfo { IsSpecialName: true } && !member.Name.StartsWith("op_", StringComparison.Ordinal))
            || (member is ConstructorInfo constructor && constructor.GetParameters() is [var only] && only.ParameterType == type)
            || (member.GetCustomAttribute<CompilerGeneratedAttribute>() is not null && member is MethodInfo or ConstructorInfo);

    static string Text(MemberInfo member)
    {
        switch (member)
        {
            case ConstructorInfo constructor: return $"new({Parameters(constructor)})";
            case MethodInfo method:
                var generic = method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(Name))}>" : "";
                return $"{method.Name}{generic}({Parameters(method)}) : {Name(method.ReturnType)}{Static(method)}";
            case PropertyInfo property:
                var accessor = property.GetMethod ?? property.SetMethod!;
                var set = property.SetMethod is { IsPublic: true } setter
                    ? setter.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? " init" : " set" : "";
                var required = property.GetCustomAttribute<RequiredMemberAttribute>() is null ? "" : "required ";
                return $"{property.Name} {{ {required}get{set} }} : {Name(property.PropertyType)}{Static(accessor)}";
            case FieldInfo field: return $"{field.Name}{(field.IsLiteral ? $" = {Convert.ToString(field.GetRawConstantValue(), System.Globalization.CultureInfo.InvariantCulture)}" : $" : {Name(field.FieldType)}")}";
            default: return member.Name;
        }
    }

    static string Static(MethodInfo method) => method.IsStatic ? " (static)" : "";

    static string Parameters(MethodBase method)
        => string.Join(", ", method.GetParameters().Select(p => $"{Name(p.ParameterType)} {p.Name}{(p.HasDefaultValue ? " = " + (p.DefaultValue ?? (p.ParameterType.IsValueType && Nullable.GetUnderlyingType(p.ParameterType) is null ? "default" : "null")) : "")}"));

    static string Name(Type type)
    {
        if (type.IsByRef)
            return $"ref {Name(type.GetElementType()!)}";
        if (type.IsArray)
            return $"{Name(type.GetElementType()!)}[]";
        if (Nullable.GetUnderlyingType(type) is { } value)
            return $"{Name(value)}?";
        var text = new StringBuilder(type.IsNested && !type.IsGenericParameter ? $"{Name(type.DeclaringType!)}." : "");
        if (!type.IsGenericType)
            return text.Append(type.Name).ToString();
        return text.Append(type.Name.Split('`')[0]).Append('<').AppendJoin(", ", type.GetGenericArguments().Select(Name)).Append('>').ToString();
    }
}
