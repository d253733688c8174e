# shellcheck shell=bash
# Sourced by what runs several commands of tests: adds up what their last lines say.

passed=0
failed=0

# add_up COMMAND...: shows what it writes, and adds its sum. Where it has none, one test failed.
add_up() {
	local file output shown tee sum count status=0
	# Without a name, so that it goes however this ends.
	file=$(mktemp)
	exec {output}<>"$file"
	rm "$file"
	exec {shown}> >(exec tee "/dev/fd/$output")
	tee=$!
	"$@" >&"$shown" 2>&1 || status=$?
	exec {shown}>&-
	wait "$tee"
	sum=$(grep -xE '[0-9]+ passed, [0-9]+ failed' "/dev/fd/$output" | tail -n 1 || true)
	exec {output}>&-
	read -r -a count <<<"${sum:-0 passed, 1 failed}"
	((status == 0 || count[2] > 0)) || count[2]=1
	passed=$((passed + count[0]))
	failed=$((failed + count[2]))
}
