# shellcheck shell=bash
# Sourced by what runs checks one by one: each is a line, with what it wrote where it failed.

passed=0
failed=0
checks=$(mktemp -d)
declare -A jobs=() started=()

# start NAME COMMAND...: begin a check. A function ends at the first of its commands that fails.
start() {
	started[$1]=$SECONDS
	(set -e && "${@:2}") >"$checks/$1" 2>&1 </dev/null &
	jobs[$1]=$!
}

# Wait for a check that was begun, and count it.
finish() {
	if wait "${jobs[$1]}"; then
		passed=$((passed + 1))
		echo "ok: $1 ($((SECONDS - started[$1])) s)"
	else
		failed=$((failed + 1))
		echo "FAILED: $1"
		tail -n 60 "$checks/$1" | sed 's/^/    /'
	fi
}

# check NAME COMMAND...
check() {
	start "$@"
	finish "$1"
}

# Show what a check wrote that did not fail.
show() {
	sed 's/^/    /' "$checks/$1"
}

# same TEXT TEXT: shows how they differ.
same() {
	diff <(echo "$1") <(echo "$2")
}
