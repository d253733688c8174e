#!/usr/bin/env bash
# Splits a shard in two while people claim: half of its organizations move to a new one.
#
#   split.sh FRONT OLD NEW CONNECTION
#
# The first three are connection strings of a superuser for the databases of the front, the shard, and the new
# shard; NEW's server uses OLD's to subscribe. Passwords are in ~/.pgpass, here and on NEW's server.
# CONNECTION is that of the new shard as it is to stand in the front's configuration, without a user.
#
# OLD needs wal_level = logical. NEW needs the extension, shard.sql with any slice, the roles and their rights, and
# no organization. Run no house-keeping on either until the script is done.
#
#   LOCK_TIMEOUT=1s      how long new calls may wait for the calls under way, before the script tries again
#   TRIES=30             how often
set -euo pipefail

fail() {
	echo "split.sh: $1" >&2
	exit 1
}

(($# == 4)) || fail "usage: split.sh FRONT OLD NEW CONNECTION"
front=$1
old=$2
new=$3
connection=$4
lock_timeout=${LOCK_TIMEOUT:-1s}
tries=${TRIES:-30}

# run CONNECTION [psql's options]: runs the statements on standard input, and prints their results.
run() {
	PGOPTIONS='-c client_min_messages=warning' psql --no-psqlrc --quiet --tuples-only --no-align \
		--field-separator=' ' --set=ON_ERROR_STOP=1 "${@:2}" "$1"
}

# Fill shards and shard: the slice of the old shard, before.
read_slice() {
	read -r shards shard < <(run "$old" <<<'TABLE seats_shard.slice') || fail "the old shard has no slice"
	[[ $(run "$old" <<<'SHOW wal_level') == logical ]] || fail "the old shard needs wal_level = logical"
	[[ $(run "$new" <<<'SELECT count(*) FROM seats.organizations') == 0 ]] || fail "the new shard has organizations"
}

# Start a copy of all rows. The keys of JWTs are copied as well, so that sessions stay good.
subscribe() {
	subscription=seats_split_$((shards * 2))_$((shard + shards))
	run "$old" <<<"CREATE PUBLICATION $subscription FOR TABLES IN SCHEMA seats"
	run "$new" --set=shards=$((shards * 2)) --set=shard=$((shard + shards)) --set=subscription="$subscription" \
		--set=old="$old application_name=$subscription" <<-'SQL'
			UPDATE seats_shard.slice SET shards = :shards, shard = :shard;
			DELETE FROM seats.jwt_keys;
			CREATE SUBSCRIPTION :"subscription" CONNECTION :'old' PUBLICATION :"subscription";
		SQL
	trap unsubscribe EXIT
}

# Undone while the old shard still has the organizations.
unsubscribe() {
	echo "split.sh: broken off; the old shard goes on with all its organizations. Drop the new one's database" >&2
	run "$new" <<<"DROP SUBSCRIPTION IF EXISTS $subscription" || true
	run "$old" <<<"DROP PUBLICATION IF EXISTS $subscription" || true
}

wait_for_copy() {
	until [[ $(run "$new" <<<"SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'") == 0 ]]; do
		sleep 0.2
	done
}

# From here on the old shard rejects half of its organizations. Fronts that do not know the new place yet repeat
# their calls for two seconds.
hand_over() {
	local try
	for ((try = 1; try <= tries; try++)); do
		if run "$old" --set=subscription="$subscription" <<-SQL; then
			SET lock_timeout = '$lock_timeout';
			CALL seats_shard.hand_over(:'subscription');
		SQL
			trap 'echo "split.sh: broken off when the organizations had moved: go on by hand from there" >&2' EXIT
			return
		fi
		sleep 1
	done
	fail "the old shard was never without a call"
}

# The subscription ends before anything new is written there, and the numbers of events go on from those copied.
switch() {
	run "$new" <<-SQL
		DROP SUBSCRIPTION $subscription;
		SELECT FROM (SELECT setval('seats.events_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM seats.events))) AS s;
	SQL
	run "$front" --set=connection="$connection" \
		<<<"CALL seats_front.move($((shards * 2)), $((shard + shards)), :'connection')"
}

clean_up() {
	run "$old" <<<"DROP PUBLICATION $subscription"
	run "$old" <<<'CALL seats_shard.delete_others()'
	run "$new" <<<'CALL seats_shard.delete_others()'
}

read_slice
echo "split.sh: copying shard $shard of $shards"
subscribe
wait_for_copy
echo "split.sh: handing over"
hand_over
switch
echo "split.sh: shards $shard and $((shard + shards)) of $((shards * 2)): deleting what is the other's"
clean_up
trap - EXIT
echo "split.sh: done"
