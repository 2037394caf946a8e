#!/usr/bin/env bash
# The benchmark runs, checks its messages, prints JSON with the promised keys, and cleans up.
# No figure is looked at: this machine may be busy.
set -euo pipefail

bench="$PEERMQ_BIN_DIR/peermq_bench"
[[ -x "$bench" ]] || { echo "peermq_bench was not built: nothing to test"; exit 0; }

directory="$(mktemp -d)"
trap 'rm -rf "$directory"' EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$directory"/*.out "$directory"/*.err >&2
    exit 1
}

run() {
    local name="$1"
    shift
    "$bench" --quick --spool "$directory" "$@" \
        >"$directory/$name.out" 2>"$directory/$name.err" || fail "exit code of: $*"
}

# has <file> <bench> <key>...: some object of this bench has all keys.
has() {
    local file="$1" name="$2" line key
    shift 2
    line="$(grep -m 1 "\"bench\":\"$name\"" "$file")" || fail "no object of $name"
    for key in "$@"; do
        [[ "$line" == *"\"$key\":"* ]] || fail "$name lacks $key: $line"
    done
}

run json --json --size 100 --level disk push_pull latency queues
has "$directory/json.out" environment cores kernel libzmq sync_p50_us load
has "$directory/json.out" push_pull size level workers msgs_per_s min max raw_msgs_per_s ratio must aim mark
has "$directory/json.out" latency size level p50_us p99_us p999_us raw_p50_us
has "$directory/json.out" queues queues
for key in bench size level msgs_per_s raw_msgs_per_s ratio; do
    ! grep -v "\"$key\":" "$directory/json.out" || fail "a line without $key"
done
! grep -qv '^{.*}$' "$directory/json.out" || fail "something else than JSON on stdout"

run table --size 100 --level memory push_pull
grep -q 'raw PUSH/PULL' "$directory/table.out" || fail "no table"

"$bench" --list | grep -q '^push_pull ' || fail "--list"
! "$bench" no_such_bench >"$directory/wrong.out" 2>"$directory/wrong.err" ||
    fail "an unknown bench is accepted"

left="$(find "$directory" -mindepth 1 -type d)"
[[ -z "$left" ]] || fail "left behind: $left"
