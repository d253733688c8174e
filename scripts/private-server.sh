# shellcheck shell=bash
# Sourced by the other scripts: builds the extension and runs it in a PostgreSQL server of its own.
#
# Everything lives in one temporary directory: the copy of the sources that is built, what `make
# install` installs, and the server, which listens on a socket in that directory only. Nothing is
# installed into the system, no other server is touched, and however the script ends, the
# directory and every process in it go.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
private=

fail() {
	echo "${0##*/}: $1" >&2
	exit 1
}

# Nothing that a user has set for psql, prove, libpq or an outer make may change what happens here, but for
# how long tests wait.
clean_environment() {
	local pg_config timeout=${PG_TEST_TIMEOUT_DEFAULT:-} isolation=${PGISOLATIONTIMEOUT:-}
	pg_config=$("$root/scripts/pg-config")
	unset "${!PG@}" PSQLRC PROVE_FLAGS MAKEFLAGS MFLAGS MAKELEVEL
	export LC_ALL=C.UTF-8
	# PostgreSQL's own 180 seconds are for all that a session does in a test, on 15.
	export PG_TEST_TIMEOUT_DEFAULT=${timeout:-900}
	[[ -z $isolation ]] || export PGISOLATIONTIMEOUT=$isolation
	umask 022
	use_server "$pg_config"
}

# use_server PG_CONFIG: builds for that server, and runs it.
use_server() {
	export PG_CONFIG=$1
	bindir=$("$PG_CONFIG" --bindir)
	export PATH=$bindir:$PATH
}

# PostgreSQL refuses to run as root. Every system has the account nobody. In a session of its own, a
# command gets no Ctrl-C: the clean-up is what ends it.
choose_account() {
	as_account=(setsid setpriv)
	((EUID != 0)) || as_account+=(--reuid nobody --regid "$(id -g nobody)" --clear-groups)
}

# Give files to the server's account.
hand_over() {
	((EUID != 0)) || chown -R nobody: "$@"
}

# Run a command as the server's account, at home in the private directory.
as_server() (
	cd "$private" || exit
	exec "${as_account[@]}" env HOME="$private" TMPDIR="$private" "$@"
)

# Run a command so that a signal is handled at once and not when the command ends.
attended() {
	"$@" <&0 &
	wait $!
}

# TMPDIR will not do where its path is too long for a socket's, which has some 100 characters, or
# where the server's account cannot go.
make_private_directory() {
	local base
	for base in "$(realpath "${TMPDIR:-/tmp}")" /tmp; do
		private=$(mktemp -d "$base/seats.XXXXXX")
		hand_over "$private"
		if ((${#base} < 60)) && as_server test -w "$private"; then
			return
		fi
		rmdir "$private"
	done
	fail "no temporary directory that the server's account may use"
}

# Whatever runs in the private directory was started from here: make, initdb, servers, tests.
processes() {
	find /proc/[0-9]*/cwd -maxdepth 0 -lname "*/${private##*/}*" -printf '%h\n' 2>/dev/null |
		sed 's,/proc/,,'
}

# Ask a process to end. A server ends its own processes. initdb, and the shells it runs postgres
# by, may finish: stopped halfway they would leave shared memory behind.
stop_process() {
	case $(cat "/proc/$1/comm") in
		initdb | sh) ;;
		# Under valgrind it has its name.
		postgres | memcheck*)
			find "$private" -name postmaster.pid -exec head -n 1 {} \; | grep -qx "$1" && kill -INT "$1"
			;;
		*) kill -TERM "$1" ;;
	esac
}

# Wait for all to end, those too that others still start, and use force after ten seconds.
stop_processes() {
	local deadline=$((SECONDS + 10)) pid pids
	while mapfile -t pids < <(processes) && ((${#pids[@]} > 0)); do
		((SECONDS < deadline)) || kill -KILL "${pids[@]}" || true
		for pid in "${pids[@]}"; do
			stop_process "$pid" || true
		done
		sleep 0.1
	done 2>/dev/null
}

cleanup() {
	trap '' HUP INT QUIT PIPE TERM
	if [[ -n $private ]]; then
		stop_processes
		rm -rf "$private"
	fi
}

# The sources are copied because the checkout must stay as it is and the server's account may be
# unable to read it. What an earlier make left in it was perhaps built for another server.
copy_sources() {
	mkdir "$private/seats"
	tar -C "$root" --exclude-vcs -cf - . | tar -C "$private/seats" --no-same-owner -xf -
	hand_over "$private/seats"
	make_copy clean
}

# Run make in the copy. Bitcode, which takes longest to build, would not be used here.
make_copy() {
	as_server make --silent --no-print-directory -C seats PG_CONFIG="$PG_CONFIG" with_llvm=no \
		${CC:+CC="$CC"} "$@"
}

# The setting by which the server finds extensions elsewhere than beside itself: Debian's, or 18's, or none.
setting_for_extensions() {
	as_server "$bindir/postgres" --describe-config | cut -f1 |
		grep -xm 1 -e extension_destdir -e extension_control_path || true
}

# copy_server PG_CONFIG: copies a server into install. It finds what belongs to it by the path from its programs,
# so it finds what make installs there, as if the extension were installed for good.
copy_server() {
	local pg_config=$1 copied=() name
	for name in bindir sharedir pkglibdir; do
		copied+=("$("$pg_config" "--$name")")
	done
	as_server mkdir -p install &&
		as_server cp -r --parents --target-directory=install "${copied[@]}" &&
		as_server chmod -R u+w install
}

# Headers and libpq stay where they are, and the copy's pg_config leads there: the compiler knows a directory
# behind a link as the same one, and takes its headers for a system's if it was told so by the other path.
link_headers() {
	local pg_config=$1 name path
	for name in includedir includedir-server libdir; do
		path=$("$pg_config" "--$name")
		as_server mkdir -p "install${path%/*}"
		if [[ ! -e $private/install$path ]]; then
			as_server ln -s "$path" "install$path"
		elif [[ $name == libdir ]]; then
			# pkglibdir is in it, or the same.
			as_server find "$path" -maxdepth 1 -name 'libpq.*' -exec ln -sf -t "install$path" {} +
		fi
	done
}

# From here on, all is done with a copy of the server, which has the extension beside it.
use_copy() {
	local original=$PG_CONFIG
	copy_server "$original"
	link_headers "$original"
	use_server "$private/install$bindir/pg_config"
	# make must not install into the original.
	[[ $("$PG_CONFIG" --pkglibdir) == "$private/install/"* && $("$PG_CONFIG" --sharedir) == "$private/install/"* ]] ||
		fail "a copy of the server of $original does not find its own files"
}

build() {
	local destination=(DESTDIR="$private/install")
	echo "building seats for $("$PG_CONFIG" --version)"
	copy_sources
	if [[ -z $(setting_for_extensions) ]]; then
		use_copy
		destination=()
	fi
	attended make_copy -j"$(nproc)" install "${destination[@]}"
}

# The settings by which a server finds the extension where it was installed. A copy needs none.
installation_settings() {
	local setting
	setting=$(setting_for_extensions)
	[[ -z $setting ]] || echo "dynamic_library_path = '$private/install$("$PG_CONFIG" --pkglibdir):\$libdir'"
	case $setting in
		extension_destdir) echo "extension_destdir = '$private/install'" ;;
		extension_control_path)
			echo "extension_control_path = '$private/install$("$PG_CONFIG" --sharedir):\$system'"
			;;
	esac
	[[ -z ${DIRECT_ACCESS:-} ]] || echo "seats.direct_access = $DIRECT_ACCESS"
}

# show_and_fail FILE MESSAGE
show_and_fail() {
	tail -n 20 "$1" >&2
	fail "$2"
}

start_server() {
	local log=$private/server.log
	installation_settings >"$private/installation.conf"
	attended as_server "$bindir/initdb" --pgdata=data --username=postgres --auth=trust \
		--encoding=UTF8 --no-locale --no-sync >"$log" 2>&1 || show_and_fail "$log" "initdb failed"

	cat - "$private/installation.conf" >>"$private/data/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$private'
		port = 5432
		fsync = off
	CONF
	# Should this script be killed outright, the server stops itself.
	(
		cd "$private" || exit
		exec "${as_account[@]}" --pdeathsig INT "$bindir/postgres" -D data
	) >"$log" 2>&1 </dev/null &
	export PGHOST=$private PGPORT=5432 PGUSER=postgres
	until "$bindir/pg_isready" --quiet; do
		kill -0 $! 2>/dev/null || show_and_fail "$log" "the server did not start"
		sleep 0.1
	done
}

# Build the extension and start a server that has it; PGHOST and the like lead there.
private_server() {
	clean_environment
	choose_account
	make_private_directory
	build
	start_server
}

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 131' QUIT
trap 'exit 141' PIPE
trap 'exit 143' TERM
