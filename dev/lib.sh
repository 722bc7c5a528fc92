# shellcheck shell=bash
# What the scripts in this folder share. Sourced, never run.

# The clone that this file lies in, whatever folder a script was called from.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# rustup installs here and asks for a new shell; a cron job or a CI runner never opens one.
command -v cargo >/dev/null || PATH=$PATH:~/.cargo/bin

# Messages go to standard error: standard output belongs to what a command was asked for.
say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# A heading between the steps of a longer command, bold where someone watches.
step() {
  if [[ -t 2 ]]; then
    printf '\n\e[1m%s\e[0m\n' "$*" >&2
  else
    printf '\n== %s\n' "$*" >&2
  fi
}

# Whether something listens on this port of 127.0.0.1.
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints a port that nobody listens on. Below the kernel's range for outgoing connections (32768 and up), so that
# no passing connection takes it while the server is down.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    port_open "$port" || { echo "$port" && return; }
  done
  die "found no free port between 20000 and 32000"
}

# Prints eight characters that tell this clone from all others on this machine.
clone_hash() { sha256sum <<<"$root" | head -c 8; }

# Whether $1 is the same version as $2, or a newer one.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# Prints the folder with initdb and postgres: of version $1, or the newest if that is empty. Fails when there is none.
# Debian keeps them out of PATH, one folder a version.
postgres_bin() {
  local candidates dir
  mapfile -t candidates < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
  if command -v pg_config >/dev/null; then candidates+=("$(pg_config --bindir)"); fi
  if command -v initdb >/dev/null; then candidates+=("$(dirname -- "$(command -v initdb)")"); fi
  for dir in "${candidates[@]}"; do
    [[ -x $dir/initdb && -x $dir/postgres ]] || continue
    [[ -z $1 || $("$dir/postgres" -V) == *") $1."* ]] || continue
    echo "$dir" && return
  done
  return 1
}

# Prints the path of a Java that can run Kafka (17 or newer). Fails when there is none.
java_bin() {
  local java=java version
  if [[ -n ${JAVA_HOME-} ]]; then java=$JAVA_HOME/bin/java; fi
  java=$(command -v "$java") || return 1
  version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
  ((${version:-0} >= 17)) && echo "$java"
}

# What was fetched is kept outside the clone, for all clones of this user.
cache_dir() {
  local cache=${XDG_CACHE_HOME:-~/.cache}
  echo "$cache/catalog-stream"
}

# Kafka's jars, which dev/stack fetches.
kafka_version() { sed -n 's:.*<kafka\.version>\(.*\)</kafka\.version>.*:\1:p' "$root/dev/kafka/pom.xml"; }
kafka_jars() { echo "$(cache_dir)/kafka-$(kafka_version)"; }

# Puts the tools of dev/tools.txt into PATH, after fetching them once. Without pip, or where a tool has no build for this
# machine, the caller finds them missing: see `require_tool`.
use_tools() {
  local dir new log
  dir=$(cache_dir)/tools-$(sha256sum "$root/dev/tools.txt" | head -c 8)
  if [[ ! -d $dir ]]; then
    say "fetching the tools that dev/tools.txt lists: 25 MB, once"
    mkdir -p -- "$(dirname -- "$dir")"
    new=$(mktemp -d -- "$dir.XXXXXX")
    log=$new.log
    if python3 -m pip install --no-deps --no-compile --only-binary=:all: --require-hashes --disable-pip-version-check \
      --root-user-action=ignore --target "$new" -r "$root/dev/tools.txt" </dev/null >"$log" 2>&1; then
      # Another clone may have been faster.
      mv -T -- "$new" "$dir" 2>/dev/null || rm -rf -- "$new"
    else
      tail -n 5 -- "$log" >&2
      rm -rf -- "$new"
    fi
    rm -f -- "$log"
  fi
  PATH=$dir/bin:$PATH
}

# Whether a tool is there. In CI it has to be; elsewhere $2 says what is left out or done instead.
require_tool() {
  command -v "$1" >/dev/null && return
  [[ -z ${CI-} ]] || die "$1 is missing: dev/tools.txt could not be fetched"
  say "$1 is missing and could not be fetched: $2"
  return 1
}

# Prints a PostgreSQL URL ($1) with another database ($2).
with_database() {
  [[ $1 =~ ^(postgres(ql)?://[^/?]*)(/[^?]*)?(\?.*)?$ ]] || die "DATABASE_URL is not of the form postgres://…"
  echo "${BASH_REMATCH[1]}/$2${BASH_REMATCH[4]}"
}

# Prints a text with everything escaped that may have a meaning in a URL, byte by byte.
url_encode() {
  local LC_ALL=C i char code
  for ((i = 0; i < ${#1}; i++)); do
    char=${1:i:1}
    case $char in
      [A-Za-z0-9._~-]) printf '%s' "$char" ;;
      *)
        printf -v code '%d' "'$char"
        printf '%%%02X' "$((code & 255))"
        ;;
    esac
  done
}
