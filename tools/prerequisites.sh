# What the scripts at the root need from the machine. Sourced, not run.
# Each function installs with apt what is missing where that is possible, and otherwise says what to install.

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

say() { printf '%s\n' "$*" >&2; }

need_dotnet() {
    command -v dotnet >/dev/null || { say "The .NET SDK 10 is missing. Install it (package dotnet-sdk-10.0) and put dotnet on the PATH."; exit 1; }
    case "$(dotnet --version 2>/dev/null)" in
        1[0-9].*) ;;
        *) say "Flowstone needs the .NET SDK 10; here is $(dotnet --version 2>/dev/null || echo none). Install dotnet-sdk-10.0."; exit 1 ;;
    esac
}

# As root, or through sudo where that asks for no password.
may_apt() { command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

apt_install() {
    may_apt || return 1
    say "Installing $* with apt …"
    as_root apt-get update -qq >/dev/null &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need_postgres() {
    [ -n "${FLOWSTONE_POSTGRES_BIN:-}" ] && return
    local initdb
    for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb /opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb; do
        [ -x "$initdb" ] && return
    done
    command -v initdb >/dev/null && return
    # Debian would start a cluster of its own at once; Flowstone runs its own.
    [ -e /etc/postgresql-common/createcluster.conf ] || ! may_apt ||
        as_root sh -c 'mkdir -p /etc/postgresql-common && printf "create_main_cluster = false\n" >/etc/postgresql-common/createcluster.conf'
    apt_install postgresql && return
    say "PostgreSQL 15 or later is missing. Install it:  sudo apt-get install postgresql   (macOS: brew install postgresql@17)"
    say "A server of yours will do, too: set DATABASE_URL."
    exit 1
}

need_chromium() {
    [ -x /usr/bin/chromium ] && return
    apt_install chromium && return
    say "Chromium is missing, so the browser test is skipped. Install it:  sudo apt-get install chromium"
}

need_pgbouncer() {
    [ -x /usr/sbin/pgbouncer ] && return
    apt_install pgbouncer && return
    say "PgBouncer is missing, so its test is skipped. Install it:  sudo apt-get install pgbouncer"
}

# build PROJECT ASSEMBLY: silent when all is well, the compiler's words when not. Nothing to do if no source is newer than the assembly.
# One at a time in a checkout: two compilers would write the same files.
build() {
    local root
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    is_current "$root" "$@" && return
    (
        command -v flock >/dev/null && flock 9
        is_current "$root" "$@" && exit
        [ -e "$2" ] || say "Building …"
        log=$(mktemp)
        touch "$log.began"   # a source that is edited meanwhile is newer than the assembly
        # No node and no compiler server stays behind when the command ends.
        if ! dotnet build "$1" -v q -nologo -nodeReuse:false -p:UseSharedCompilation=false >"$log" 2>&1; then
            cat "$log" >&2
            rm -f "$log" "$log.began"
            exit 1
        fi
        touch -r "$log.began" "$2"
        rm -f "$log" "$log.began"
    ) 9<"$root"
}

is_current() { # ROOT PROJECT ASSEMBLY
    [ -e "$3" ] && [ -z "$(find "$1/src" "$2" "$1"/Directory.*.props "$1/BannedSymbols.txt" \( -name bin -o -name obj \) -prune -o -type f -newer "$3" -print -quit)" ]
}
