# shellcheck shell=bash
# Sourced by what tests on several versions of PostgreSQL. Each version is in a tree of its own, with the
# Debian release that has it, made by debootstrap and kept for the next run. Needs root.
#
#   TREES=DIR     where the trees are kept, ~/.cache/seats-trees unless set; one run at a time uses them
#   MIRROR=URL    where debootstrap and apt get packages from, debootstrap's default unless set

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
trees=${TREES:-${XDG_CACHE_HOME:-$HOME/.cache}/seats-trees}

# Where each version is. One from experimental comes with sid's other packages.
declare -A releases=([15]=bookworm [17]=trixie [18]=forky [19]=experimental)

fail() {
	echo "${0##*/}: $1" >&2
	exit 1
}

# However the script ends, so does what it runs in a tree.
trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The proxies that this machine needs. apt knows them by these names.
proxies() {
	local name
	for name in http_proxy https_proxy no_proxy; do
		[[ -z ${!name:-} ]] || printf '%s\n' "$name=${!name}"
	done
}

# enter TREE LOWER COMMAND...: runs a command in a tree, with processes of its own that end with it.
# With LOWER, other trees show through where TREE, an empty directory, is mounted over them, and what
# is written is gone afterwards.
enter() {
	local keep
	mapfile -t keep < <(proxies)
	# shellcheck disable=SC2016
	exec unshare --mount --pid --ipc --fork --kill-child sh -ec '
		tree=$1 lower=$2; shift 2
		if [ -n "$lower" ]; then
			mount -t tmpfs tmpfs "$tree"
			mkdir "$tree/upper" "$tree/work" "$tree/root"
			mount -t overlay overlay "$tree/root" \
				-o "lowerdir=$lower,upperdir=$tree/upper,workdir=$tree/work"
			tree=$tree/root
		fi
		mount -t proc proc "$tree/proc"
		mount --rbind /dev "$tree/dev"
		chroot "$tree" env -i "$@"' sh "$1" "$2" HOME=/root LC_ALL=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		"${keep[@]}" "${@:3}"
}

# in_tree VERSION COMMAND...
in_tree() {
	enter "$trees/$1" "" "${@:2}" {lock}>&- &
	wait $!
}

# in_trees "VERSION..." COMMAND...: in a tree of several, of which the first comes first. It is the newest
# one's, and has the servers of all, with the libraries that only older releases have.
in_trees() {
	local version lower=
	for version in $1; do
		lower+=${lower:+:}$trees/$version
	done
	mkdir -p "$trees/together"
	enter "$trees/together" "$lower" "${@:2}" {lock}>&- &
	wait $!
}

# Make a tree unless it is there whole: it gets its name when it is. Older debootstraps do not know newer
# releases, but they are all made like sid.
make_tree() {
	local version=$1 release=${releases[$1]} base new=$trees/$1.new log=$trees/$1.log
	[[ ! -d $trees/$version ]] || return 0
	base=${release/experimental/sid}
	echo "making a tree of $base for PostgreSQL $version"
	rm -rf --one-file-system "$new"
	debootstrap --variant=minbase --force-check-gpg "$base" "$new" "${MIRROR:-}" sid >"$log" 2>&1 ||
		{ tail -n 5 "$log" >&2; fail "debootstrap $base failed"; }
	if [[ $release == experimental ]]; then
		sed 's/ sid / experimental /' "$new/etc/apt/sources.list" >"$new/etc/apt/sources.list.d/experimental.list"
		printf 'Package: postgresql* libpq*\nPin: release a=experimental\nPin-Priority: 900\n' \
			>"$new/etc/apt/preferences.d/experimental"
	fi
	# A mirror that lags behind will do.
	echo 'Acquire::Check-Valid-Until "false";' >"$new/etc/apt/apt.conf.d/90lagging"
	mv "$new" "$trees/$version"
}

# Install a server, or after a week its newest minor release. Debian's own servers are not started in a
# tree, and have no cluster.
install_server() {
	# shellcheck disable=SC2016
	in_tree "$1" sh -ec '
		[ -z "$(find /var/cache/seats-updated -mtime -7 2>/dev/null)" ] || exit 0
		mkdir -p /etc/postgresql-common
		echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
		apt-get -qq update
		apt-get -qq --yes --no-install-recommends install postgresql-$1 postgresql-server-dev-$1
		apt-get clean
		touch /var/cache/seats-updated' sh "$1" >>"$trees/$1.log" 2>&1
}

# Put the sources into a tree, without what an earlier run left there.
copy_sources() {
	local tree=$trees/$1
	rm -rf --one-file-system "$tree/seats" "$tree"/tmp/seats.*
	mkdir "$tree/seats"
	tar -C "$root" --exclude-vcs -cf - . | tar -C "$tree/seats" --no-same-owner -xf -
}

# The path of a version's pg_config in its tree.
pg_config_of() {
	echo "/usr/lib/postgresql/$1/bin/pg_config"
}

# Install what is needed to build and test, the sources included.
prepare_tree() {
	local version=$1
	make_tree "$version"
	if ! install_server "$version"; then
		tail -n 5 "$trees/$version.log" >&2
		[[ -x $trees/$version/usr/lib/postgresql/$version/bin/postgres ]] ||
			fail "PostgreSQL $version cannot be installed"
		echo "going on with PostgreSQL $version as it is" >&2
	fi
	copy_sources "$version"
	in_tree "$version" env PG_CONFIG="$(pg_config_of "$version")" /seats/scripts/packages test
}

# Wait until no other run uses the trees.
take_trees() {
	((EUID == 0)) || fail "trees of several versions need root"
	"$root/scripts/packages" versions
	mkdir -p "$trees"
	exec {lock}>"$trees/lock"
	flock --nonblock "$lock" && return
	echo "waiting for another run that uses $trees"
	flock "$lock"
}
