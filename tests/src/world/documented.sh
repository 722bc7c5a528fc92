# What the blocks of a page are run with, besides the variables of a world.
set -euo pipefail

# Programs that a block has started in the background end with the page.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# Answers each question as a person would, and ends a consumer once it has caught up.
catalog-consumer() {
  case "$1 ${2-}" in
    'runs approve' | 'runs decline' | 'runs release' | 'runs reject' | 'runs undo') set -- "$@" --yes ;;
    'run '*) [[ " $* " == *' --dry-run '* ]] || set -- "$@" --until-caught-up ;;
  esac
  command catalog-consumer "$@"
}

# Kafka's tools are not in the path of a clone.
for tool in kafka-broker-api-versions kafka-configs kafka-console-consumer kafka-consumer-groups kafka-log-dirs kafka-topics; do
  eval "$tool.sh() { \"\$REPOSITORY/dev/stack\" kafka $tool \"\$@\"; }"
done

# ended CODE EXPECTED PLACE: ends the page if a block has another exit code than it should.
ended() {
  (($1 == $2)) && return
  printf '%s: exit code %s, and the page says %s\n' "$3" "$1" "$2" >&2
  exit 99
}
