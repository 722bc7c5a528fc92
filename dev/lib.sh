# shellcheck shell=bash
# Functions that the scripts in this folder share. Source this file; don't run it.

# The clone that contains this file, regardless of the current folder.
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# rustup installs here and expects a new login shell, which a cron job or a CI runner never starts.
command -v cargo >/dev/null || PATH=$PATH:~/.cargo/bin

# Messages go to standard error, because standard output is for the results of a command.
say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# A heading between the steps of a long command, bold on a terminal.
step() {
  if [[ -t 2 ]]; then
    printf '\n\e[1m%s\e[0m\n' "$*" >&2
  else
    printf '\n== %s\n' "$*" >&2
  fi
}

# Whether something listens on this port of 127.0.0.1.
port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints a free port. It is below the kernel's range for outgoing connections (32768 and up), so that no outgoing
# connection takes it while the server is down.
free_port() {
  local port
  for _ in {1..100}; do
    port=$((20000 + RANDOM % 12000))
    port_open "$port" || { echo "$port" && return; }
  done
  die "found no free port between 20000 and 32000"
}

# Prints eight characters that identify this clone on this machine.
clone_hash() { sha256sum <<<"$root" | head -c 8; }

# Whether $1 is the same version as $2, or a newer one.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# Prints the folder with initdb and postgres: of version $1, or the newest if $1 is empty. Fails if there is none.
# Debian keeps them outside of PATH, in one folder per version.
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

# Prints the path of a Java that can run Kafka (17 or newer). Fails if there is none.
java_bin() {
  local java=java version
  if [[ -n ${JAVA_HOME-} ]]; then java=$JAVA_HOME/bin/java; fi
  java=$(command -v "$java") || return 1
  version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
  ((${version:-0} >= 17)) && echo "$java"
}

# Downloads are kept outside the clone, for all clones of this user.
cache_dir() {
  local cache=${XDG_CACHE_HOME:-~/.cache}
  echo "$cache/catalog-stream"
}

# Kafka's jars, which dev/stack fetches.
kafka_version() { sed -n 's:.*<kafka\.version>\(.*\)</kafka\.version>.*:\1:p' "$root/dev/kafka/pom.xml"; }
kafka_jars() { echo "$(cache_dir)/kafka-$(kafka_version)"; }

# Adds the tools of dev/tools.txt to PATH, and fetches them the first time. Without pip, or if a tool has no build for
# this machine, they are missing: see `require_tool`.
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
      # Another clone may have fetched them at the same time.
      mv -T -- "$new" "$dir" 2>/dev/null || rm -rf -- "$new"
    else
      tail -n 5 -- "$log" >&2
      rm -rf -- "$new"
    fi
    rm -f -- "$log"
  fi
  PATH=$dir/bin:$PATH
}

# Whether a tool is installed. In CI a missing tool is an error; elsewhere $2 is the message about what is skipped.
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

# Prints a text with every byte escaped that may have a meaning in a URL.
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
