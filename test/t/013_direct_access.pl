# Claims without the executor give what the statements give.  The tables are altered in every way we
# could think of.  After each alteration a seat is claimed with direct access on and one with it
# off: what was answered, raised and written must be the same, and what of it went through the
# executor is what we expect.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

my $shop = ID;
my $node = start_node('direct_access', q{
	wal_level = logical
	max_prepared_transactions = 2
	autovacuum = off
	restart_after_crash = on
});

# The claimer's session lives through all alterations, which the owner's makes, so that whatever it
# keeps must be dropped.  auto_explain shows in it each statement that the executor ran.
my $claimer;
my $owner = $node->background_psql('postgres', on_error_stop => 0);
$owner->query_safe('SET client_min_messages = warning');

# Starts the claimer's session, or another in its place.
sub connect_claimer
{
	$claimer->quit if $claimer;
	$claimer = $node->background_psql('postgres', on_error_stop => 0);
	$claimer->query_safe(q{
		\set VERBOSITY verbose
		LOAD 'auto_explain';
		SET auto_explain.log_nested_statements = on;
		SET auto_explain.log_level = notice;
	});
}

# The statements that a call runs where it cannot do without the executor.
my $statements = qr{
	(?<info>FROM\ seats\.customer_seats\ AS\ s\ JOIN)
	| (?<lock>FOR\ NO\ KEY\ UPDATE)
	| (?<organization>FROM\ seats\.organizations\ WHERE)
	| (?<seat>UPDATE\ seats\.customer_seats\ AS\ s\ SET\ status)
	| (?<event>INSERT\ INTO\ seats\.events)
	| (?<session>INSERT\ INTO\ seats\.customer_sessions)
	| (?<authenticate>FROM\ seats\.customer_sessions\ AS\ x\ JOIN)
}x;
my $by_statements = 'info lock organization seat event session authenticate';

# Seats that are assigned, as pairs of invitation token and id, and who has claimed the last one.
my @invitations;
my $number = 0;
my $signed_in;

# Assigns many seats, in the order of their addresses.
sub assign_many
{
	my ($count) = @_;

	$number = 0;
	@invitations = map { [ split /\|/ ] } split /\n/, query(qq{
		SELECT invitation_token, (seat).id
		FROM seats.assign_seats('$shop', NULL,
			ARRAY(SELECT 'n' || n || '\@x' FROM generate_series(1, $count) AS n))
	});
}

# Returns the token and the id of the next seat that is not claimed.
sub next_invitation
{
	$number++;
	return @{ shift @invitations };
}

# Replaces what differs from claim to claim by numbers in the order of appearance, so that equal
# values stay equal.
sub normalized
{
	my ($text) = @_;
	my %number;

	# PostgreSQL cuts long values off.
	$text =~ s/^DETAIL:  Failing row contains \(.*\K\("[^"]*","[^)]*\.\.\.\)/(...)/mg;
	$text =~ s{
		(?<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})
		| (?<time>\d{4}-\d\d-\d\d[ T][\d:.]+(?:\+\d\d(?::\d\d)?)?)
		| (?<hash>\\\\?x[0-9a-f]{8,}(?:\.\.\.)?)
		| (?<token>seats_(?:inv|cst)_\w+)
		| (?<address>\bn\d+\@x)
		| (?<number>(?:(?<="id":)|(?<="id":\ )|(?<="note":\ )|(?<=\(id\)=\()|(?<=row\ contains\ \()
			|(?<=id\[bigint\]:)|(?<=\bsz:\ ))\d+)
	}{
		my ($kind, $value) = each %+;
		keys %+;
		$number{$kind}{$value} = 1 + keys %{ $number{$kind} } unless $number{$kind}{$value};
		"<$kind $number{$kind}{$value}>";
	}gex;
	return $text;
}

# Runs statements in the claimer's session; returns which of the extension's own the executor ran,
# and the outcome: what was printed, and errors and notices.
sub run_in_claimer
{
	my ($sql) = @_;
	my $output = $claimer->query("SET auto_explain.log_min_duration = 0;\n$sql");
	my $errors = $claimer->{stderr};
	my (@path, @messages);

	$claimer->{stderr} = '';
	$errors =~ s/^LINE .*\n//mg;
	push @path, keys %+ while $errors =~ /$statements/g;
	push @messages,
	  grep { !/ duration: / }
	  $errors =~ /^(?:psql\S* )?((?:ERROR|WARNING|NOTICE|DETAIL|HINT): .*)/mg;
	return (join(' ', @path), normalized(join "\n", grep { $_ ne '' } $output, @messages));
}

# Claims a seat with direct access on or off, and asks what a client would: what the invitation is
# for, and who the session is for.  Returns what run_in_claimer() does, with all rows that the
# transaction wrote in any table, and with "decoded" what logical decoding tells.  What "session" and
# "reset" have comes before and after; "claim" is another way to claim.
sub attempt
{
	my ($direct_access, %case) = @_;
	my ($token, $seat) = next_invitation();
	my $claim = $case{claim} // 'seats.claim_seat(TOKEN)';

	$claim =~ s/TOKEN/'$token'/;
	return run_in_claimer(
		join "\n",
		"SET seats.direct_access = $direct_access;",
		$case{session} // '',
		'\set answer none',
		"\\set session $signed_in",
		'\set xid 0',
		"SELECT to_json(i) FROM seats.claim_info('$token') AS i;",
		'SELECT to_json(c.seat) AS answer, c.customer_session_token AS session,',
		"pg_current_xact_id() AS xid FROM $claim AS c \\gset",
		q(SELECT :'answer', to_json(a) FROM seats.authenticate(:'session') AS a;),
		'SET auto_explain.log_min_duration = -1;',
		"SELECT written(:'xid', '%" . ($case{transaction} ? $seat : '') . "%');",
		$case{decoded}
		? q(SELECT data FROM pg_logical_slot_get_changes('changes', NULL, NULL,
			'include-xids', '0', 'skip-empty-xacts', '1');)
		: '',
		$case{reset} // '');
}

# Alters the tables, compares claims with direct access on and off, undoes the alteration and sees
# that claims are direct again; where there is no "undo" nothing has to be undone, and where it is
# undefined the alteration stays.  "path" is what goes through the executor, nothing if it is not
# given; "shows" is what the outcome must have in it, a claimed seat if it is not given.  Where
# EMAILS stands in the alteration it is the addresses of the seat claimed last and of those claimed
# next.  With "transaction" the claimer makes the alteration in the claim's transaction.
sub compare
{
	my (%case) = @_;
	my ($name, $shows) = @case{qw(name shows)};
	my $emails = join ', ', map { "'n$_\@x'" } $number .. $number + 3;
	my $alter = ref $case{alter} ? '' : ($case{alter} // '') =~ s/EMAILS/($emails)/gr;

	if ($case{transaction})
	{
		@case{qw(session reset)} = ("BEGIN;\n$alter", 'ROLLBACK;');
	}
	elsif (ref $case{alter})
	{
		$case{alter}->();
	}
	else
	{
		$owner->query_safe($alter);
	}
	$owner->query_safe(q{SELECT pg_replication_slot_advance('changes', pg_current_wal_lsn())})
	  if $case{decoded};
	my ($path, $outcome) = attempt('on', %case);
	my (undef, $expected) = attempt('off', %case);
	is($path, $case{path} // '', "$name: through the executor");
	is($outcome, $expected, "$name: the same outcome");
	like($expected, $shows // qr/"status":"claimed"/, "$name: which is what it should be");
	return if exists $case{undo} && !defined $case{undo};
	$owner->query_safe($case{undo} // '') unless $case{transaction};
	is((attempt('on'))[0], '', "$name: direct again");
}

# Compares a script run with direct access on and off, each on seats of its own: TOKEN1 and SEAT1
# and so on stand for them.  Then the state of these seats is told.  Where "path" is given it is
# what must have gone through the executor.
sub compare_scripts
{
	my ($name, $script, $expected, %options) = @_;
	my %result;

	foreach my $direct_access ('on', 'off')
	{
		my $sql = $script;
		my @seats = map { [ next_invitation() ] } 1 .. 3;

		foreach my $i (1 .. 3)
		{
			my ($token, $seat) = @{ $seats[ $i - 1 ] };
			$sql =~ s/TOKEN$i/'$token'/g;
			$sql =~ s/SEAT$i/'$seat'/g;
		}
		my ($path, $outcome) =
		  run_in_claimer("SET seats.direct_access = $direct_access;\n$sql");
		my $list = join ', ', map { "'$_->[1]'" } @seats;
		$result{$direct_access} = [
			$path, join "\n",
			grep { $_ ne '' } $outcome, query("SELECT state(ARRAY[$list]::uuid[])")
		];
	}
	is($result{on}[0], $options{path}, "$name: through the executor") if exists $options{path};
	is($result{on}[1], $result{off}[1], "$name: the same outcome");
	is($result{off}[1], $expected, "$name: which is what it should be");
}

create_shop(3000);
query(
	q{
	CREATE EXTENSION amcheck;

	CREATE TABLE log (entry text);

	-- All rows that a transaction wrote, that are still there, and that are like this.
	CREATE FUNCTION written(xid text, pattern text) RETURNS SETOF text LANGUAGE plpgsql AS $$
	DECLARE
		changed regclass;
	BEGIN
		FOR changed IN SELECT oid FROM pg_class
			WHERE relkind = 'r' AND relnamespace NOT IN ('pg_catalog'::regnamespace,
				'information_schema'::regnamespace)
			ORDER BY relname COLLATE "C"
		LOOP
			RETURN QUERY EXECUTE format(
				'SELECT %L || to_jsonb(t)::text FROM ONLY %s AS t '
					'WHERE xmin::text = $1 AND to_jsonb(t)::text LIKE $2 ORDER BY 1',
				changed || ' ', changed) USING xid, pattern;
		END LOOP;
	END $$;

	-- Status, number of sessions, and events of seats.
	CREATE FUNCTION state(ids uuid[]) RETURNS text LANGUAGE sql AS $$
		SELECT string_agg(concat_ws(' ', coalesce(status::text, 'gone'),
				(SELECT count(*) FROM seats.customer_sessions AS x WHERE x.seat_id = i),
				(SELECT string_agg(split_part(type, '.', 2), '+' ORDER BY e.id)
					FROM seats.events AS e WHERE e.seat_id = i)),
			', ' ORDER BY n)
		FROM unnest(ids) WITH ORDINALITY AS u (i, n) LEFT JOIN seats.customer_seats AS s ON id = i
	$$;

	-- Logs what it is called for, and the row.
	CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.log VALUES (concat_ws(' ', TG_TABLE_NAME, TG_NAME, TG_WHEN, TG_LEVEL,
			TG_OP, CASE TG_LEVEL WHEN 'ROW' THEN to_jsonb(NEW) END));
		RETURN NEW;
	END $$;
	CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.log SELECT concat_ws(' ', TG_NAME, to_jsonb(n)) FROM new_rows AS n;
		RETURN NULL;
	END $$;
	CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		CASE TG_TABLE_NAME
			WHEN 'customer_seats' THEN NEW.seat_metadata := '{"changed": "by trigger"}';
			WHEN 'customer_sessions' THEN NEW.expires_at := NEW.expires_at + interval '1 year';
			ELSE NEW.metadata := '{"changed": "by trigger"}';
		END CASE;
		RETURN NEW;
	END $$;
	CREATE FUNCTION suppressed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
	CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql
		AS $$BEGIN RAISE 'refused by %', TG_NAME; END$$;
	CREATE FUNCTION notified() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_notify('events', NEW.type);
		RAISE NOTICE 'notified of %', NEW.type;
		RETURN NULL;
	END $$;

	CREATE FUNCTION is_fine(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
		AS 'BEGIN RETURN true; END';
	CREATE FUNCTION is_bad(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
		AS 'BEGIN RETURN false; END';
	CREATE FUNCTION shortened(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
		AS 'BEGIN RETURN left($1, 3); END';
	CREATE DOMAIN address AS text CHECK (VALUE LIKE '%@%');
	CREATE ROLE other;
	GRANT USAGE ON SCHEMA seats TO other;

	SELECT pg_create_logical_replication_slot('changes', 'test_decoding');
});
assign_many(2000);
connect_claimer();
$signed_in = claim((next_invitation())[0]);

# First of all: what tells the paths apart does.
my ($path, $outcome) = attempt('on');
is($path, '', 'with direct access on nothing of a claim goes through the executor');
like($outcome, qr/"status":"claimed".*"email":|"customer_email":/, 'and the seat is claimed');
is((attempt('off'))[0], $by_statements, 'with it off all of it does');
is((attempt('on'))[0], '', 'and with it on again nothing');
is( join(' ', $outcome =~ /^([\w.]+) \{/mg),
	'seats.customer_seats seats.customer_sessions seats.events',
	'it writes a seat, a session and an event, and nothing else');
compare(
	name => 'nothing altered',
	decoded => 1,
	shows => qr/^BEGIN\n.*seats: UPDATE.*\n.*events: INSERT.*\n.*sessions: INSERT.*\nCOMMIT/m);

# Makes a trigger of a user's own on one of the extension's tables.
sub trigger
{
	my ($table, $event, $rest, $function) = @_;

	return "CREATE TRIGGER mine $event ON seats.$table $rest EXECUTE FUNCTION $function();";
}

# Makes a case of a trigger, which is dropped to undo it.
sub trigger_case
{
	my ($table, $event, $rest, $function, %case) = @_;

	return {
		name => "$function() $event on $table $rest",
		alter => trigger($table, $event, $rest, $function) . ($case{more} // ''),
		undo => "DROP TRIGGER mine ON seats.$table",
		%case
	};
}

# Makes cases of alterations of one table that are undone by another.
sub table_cases
{
	my ($table, $path, @cases) = @_;

	return map {
		my ($alter, $undo, %case) = @$_;
		{
			name => "$table: $alter",
			alter => "ALTER TABLE seats.$table $alter",
			undo => defined $undo ? "ALTER TABLE seats.$table $undo" : undef,
			path => $path,
			%case
		}
	} @cases;
}

# Makes cases of alterations of one table in the claim's own transaction, which rolls back: some
# leave traces for good, as a dropped column does.
sub transaction_cases
{
	my ($table, $path, @cases) = @_;

	return map {
		my ($alter, %case) = ref ? @$_ : ($_);
		{
			name => "$table: $alter in the transaction",
			alter => "ALTER TABLE seats.$table $alter;",
			transaction => 1,
			path => $path,
			%case
		}
	} @cases;
}

# Makes cases of indexes that are made and dropped.
sub index_cases
{
	my ($table, $path, @cases) = @_;

	return map {
		my ($index, %case) = ref ? @$_ : ($_);
		my ($unique) = $index =~ s/^UNIQUE // ? 'UNIQUE' : '';
		{
			name => "index on $table $unique $index",
			alter => "CREATE $unique INDEX mine ON seats.$table $index",
			undo => 'DROP INDEX seats.mine',
			path => $path,
			%case
		}
	} @cases;
}

my $seat = 'lock seat';
my $all_of_claim = 'lock organization seat event session';
my $for_row = 'FOR EACH ROW';
my $for_statement = 'FOR EACH STATEMENT';
my $deferred = "DEFERRABLE INITIALLY DEFERRED $for_row";
my $table = 'customer_seats';

# Whether a table with our triggers may be a child or a partition of another: servers before 15.14, 16.10 and
# 17.6 refuse one that has statement triggers with transition tables.
sub can_be_child
{
	return outcome(
		qq{
		BEGIN;
		CREATE TABLE parent (id uuid);
		ALTER TABLE seats.$table INHERIT parent;
		ROLLBACK;
	}) !~ /^0A000 trigger .* prevents table/;
}

note 'Triggers and rules on customer_seats';
compare(%$_)
  foreach (
	trigger_case(
		$table, 'BEFORE UPDATE', $for_row, 'changed',
		path => $seat,
		shows => qr/changed": "by trigger/),
	trigger_case(
		$table, 'BEFORE UPDATE', $for_row, 'logged',
		path => $seat,
		shows => qr/BEFORE ROW UPDATE/),
	trigger_case(
		$table, 'AFTER UPDATE', $for_row, 'logged',
		path => $seat,
		shows => qr/AFTER ROW UPDATE/),
	trigger_case(
		$table, 'BEFORE UPDATE', $for_statement, 'logged',
		path => $seat,
		shows => qr/BEFORE STATEMENT UPDATE/),
	trigger_case(
		$table, 'AFTER UPDATE', $for_statement, 'logged',
		path => $seat,
		shows => qr/AFTER STATEMENT UPDATE/),
	trigger_case(
		$table, 'AFTER UPDATE', "REFERENCING NEW TABLE AS new_rows $for_statement", 'counted',
		path => $seat,
		shows => qr/log .*mine \{/),
	trigger_case(
		$table, 'AFTER UPDATE', "$for_row WHEN (OLD.status = 'pending')", 'logged',
		path => $seat,
		shows => qr/AFTER ROW UPDATE/),
	trigger_case(
		$table, 'AFTER UPDATE OF claimed_at', $for_row, 'logged',
		path => $seat,
		shows => qr/AFTER ROW UPDATE/),
	trigger_case($table, 'AFTER UPDATE OF order_id', $for_row, 'logged', path => $seat),
	trigger_case(
		$table, 'BEFORE UPDATE', $for_row, 'suppressed',
		path => $seat,
		shows => qr/ERROR:  09000/),
	trigger_case(
		$table, 'BEFORE UPDATE', $for_row, 'refused',
		path => $seat,
		shows => qr/refused by mine/),
	trigger_case(
		$table, 'AFTER UPDATE', $for_row, 'logged',
		path => $seat,
		more => "ALTER TABLE seats.$table ENABLE REPLICA TRIGGER mine",
		name => 'a trigger of replicas'),
	trigger_case(
		$table, 'AFTER UPDATE', $for_row, 'logged',
		path => $seat,
		more => "ALTER TABLE seats.$table ENABLE REPLICA TRIGGER mine",
		session => 'SET session_replication_role = replica;',
		reset => 'RESET session_replication_role;',
		name => 'a trigger of replicas, in a replica',
		shows => qr/AFTER ROW UPDATE/),
	trigger_case(
		$table, 'AFTER UPDATE', $for_row, 'logged',
		path => $seat,
		more => "ALTER TABLE seats.$table ENABLE ALWAYS TRIGGER mine",
		session => 'SET session_replication_role = replica;',
		reset => 'RESET session_replication_role;',
		name => 'a trigger of all, in a replica',
		shows => qr/AFTER ROW UPDATE/),
	trigger_case(
		$table, 'AFTER UPDATE', $for_row, 'logged',
		path => $seat,
		more => "ALTER TABLE seats.$table DISABLE TRIGGER mine",
		name => 'a disabled trigger'),
	trigger_case($table, 'AFTER INSERT OR DELETE', $for_row, 'logged'),
	{
		name => 'a deferred trigger',
		alter => "CREATE CONSTRAINT TRIGGER mine AFTER UPDATE ON seats.$table $deferred "
		  . 'EXECUTE FUNCTION logged()',
		undo => "DROP TRIGGER mine ON seats.$table",
		path => $seat,
		shows => qr/AFTER ROW UPDATE/
	},
	{
		name => 'a deferred trigger that refuses',
		alter => "CREATE CONSTRAINT TRIGGER mine AFTER UPDATE ON seats.$table $deferred "
		  . 'EXECUTE FUNCTION refused()',
		undo => "DROP TRIGGER mine ON seats.$table",
		path => $seat,
		shows => qr/refused by mine/
	},
	{
		name => "a user's trigger that calls the extension's function",
		alter => trigger($table, 'BEFORE UPDATE', $for_row, 'seats.seats_changed'),
		undo => "DROP TRIGGER mine ON seats.$table",
		path => $seat,
		shows => qr/39P01/
	},
	{
		name => "another of the extension's functions, called as its trigger is",
		alter => q{
			CREATE TRIGGER mine AFTER UPDATE ON seats.customer_seats REFERENCING OLD TABLE AS old NEW TABLE AS new
				FOR EACH STATEMENT EXECUTE FUNCTION seats.refuse_truncate()},
		undo => 'DROP TRIGGER mine ON seats.customer_seats',
		path => $seat,
		shows => qr/0A000/
	},
	{
		name => "the extension's trigger function replaced",
		alter => q{
			CREATE TABLE original AS SELECT pg_get_functiondef('seats.seats_changed()'::regprocedure);
			CREATE OR REPLACE FUNCTION seats.seats_changed() RETURNS trigger LANGUAGE plpgsql
			AS $$BEGIN INSERT INTO public.log VALUES ('replaced'); RETURN NULL; END$$},
		undo => 'TABLE original \gexec
			DROP TABLE original',
		path => $seat,
		shows => qr/"replaced"/
	},
	{
		name => "the extension's trigger dropped",
		alter => q{
			CREATE TABLE original AS SELECT pg_get_triggerdef(oid) FROM pg_trigger
				WHERE tgname = 'seats_updated';
			DROP TRIGGER seats_updated ON seats.customer_seats},
		undo => 'TABLE original \gexec
			DROP TABLE original'
	},
	table_cases(
		$table, '',
		[ 'DISABLE TRIGGER seats_updated', 'ENABLE TRIGGER seats_updated' ],
		[ 'DISABLE TRIGGER ALL', 'ENABLE TRIGGER ALL' ]),
	{
		name => 'a rule that does more',
		alter => "CREATE RULE mine AS ON UPDATE TO seats.$table DO ALSO "
		  . 'INSERT INTO public.log VALUES (NEW.status)',
		undo => "DROP RULE mine ON seats.$table",
		path => "$seat seat",
		shows => qr/^log \{/m
	},
	{
		name => 'a rule that does nothing',
		alter => "CREATE RULE mine AS ON UPDATE TO seats.$table DO INSTEAD NOTHING",
		undo => "DROP RULE mine ON seats.$table",
		path => $seat,
		shows => qr/ERROR:  0A000/
	},);

note 'Columns of customer_seats';
compare(%$_)
  foreach (
	transaction_cases(
		$table, $seat,
		'ADD COLUMN note text',
		[ q(ADD COLUMN note text DEFAULT 'x'), shows => qr/"note": "x"/ ],
		[
			'ADD COLUMN note timestamptz NOT NULL DEFAULT clock_timestamp()',
			shows => qr/"note"/
		],
		[
			'ADD COLUMN note boolean GENERATED ALWAYS AS (claimed_at IS NOT NULL) STORED',
			shows => qr/"note": true/
		],
		'ADD COLUMN note bigint GENERATED ALWAYS AS IDENTITY',
		"ADD COLUMN note text; ALTER TABLE seats.$table DROP COLUMN note"),
	transaction_cases(
		$table,
		"info $seat",
		[
			'RENAME COLUMN claim_key_hash TO other_hash',
			path => 'info',
			shows => qr/42703/
		],
		[ 'ALTER COLUMN claim_key_hash TYPE text', path => 'info', shows => qr/42804/ ],
		'DROP COLUMN expiry_watched CASCADE'),
	map {
		{
			name => "$table: $_->[0] in the transaction",
			alter =>
			  'ALTER EXTENSION seats DROP VIEW seats.my_seats; ALTER EXTENSION seats DROP VIEW seats.usage;'
			  . 'DROP VIEW seats.my_seats, seats.usage;'
			  . "ALTER TABLE seats.$table DROP CONSTRAINT customer_seats_status_check, $_->[0];",
			transaction => 1,
			path => $_->[1],
			shows => $_->[2]
		}
	} ( [ 'ALTER claimed_at TYPE timestamptz(0)', "info $seat", qr/"status":"claimed"/ ],
		[ 'ALTER modified_at TYPE timestamptz(0)', "info $seat", qr/"status":"claimed"/ ],
		[ 'ALTER customer_email TYPE varchar(100)', '', qr/ERROR:  42804/ ],
		[ 'ALTER status TYPE text', '', qr/ERROR:  42804/ ],
		[ 'ALTER customer_email TYPE text COLLATE "C"', '', qr/"status":"claimed"/ ]),);

note 'Indexes of customer_seats';
compare(%$_)
  foreach (
	index_cases(
		$table, '',
		'(status)',
		'(claimed_at DESC) INCLUDE (status)',
		'(lower(customer_email)) WHERE false',
		'(shortened(customer_email), claimed_at)',
		q((modified_at) WHERE status = 'claimed'),
		'USING hash (status)',
		'USING gin (seat_metadata)',
		'USING brin (claimed_at, created_at)',
		[
			q(UNIQUE ((status = 'claimed')) WHERE status = 'claimed' AND customer_email IN EMAILS),
			name => 'an expression index that a claim breaks',
			shows => qr/ERROR:  23505/
		]),
	index_cases(
		$table, $seat,
		'UNIQUE (id, status)',
		'UNIQUE (status, claimed_at, id) WHERE true'),
	{
		name => 'a deferred unique constraint',
		alter => "ALTER TABLE seats.$table ADD CONSTRAINT mine UNIQUE (claimed_at, id) "
		  . 'DEFERRABLE INITIALLY DEFERRED',
		undo => "ALTER TABLE seats.$table DROP CONSTRAINT mine",
		path => $seat
	},
	{
		name => 'an exclusion constraint that a claim breaks',
		alter => "ALTER TABLE seats.$table ADD CONSTRAINT mine EXCLUDE "
		  . q((status WITH =) WHERE (status = 'claimed' AND customer_email IN EMAILS)),
		undo => "ALTER TABLE seats.$table DROP CONSTRAINT mine",
		shows => qr/ERROR:  23P01/
	},
	{
		name => 'an invalid index',
		alter => sub {
			outcome(
				"CREATE INDEX CONCURRENTLY mine ON seats.$table ((1 / (length(customer_email) * 0)))"
			);
		},
		undo => 'DROP INDEX seats.mine'
	},
	{ name => 'VACUUM', alter => "VACUUM (FREEZE, ANALYZE) seats.$table" },
	{
		name => 'REINDEX',
		alter => "REINDEX TABLE seats.$table",
		undo => "REINDEX TABLE CONCURRENTLY seats.$table"
	},
	{
		name => 'VACUUM FULL',
		alter => "VACUUM FULL seats.$table",
		undo => "CLUSTER seats.$table USING customer_seats_pkey"
	},);

# The index by which a token is found is replaced by another.
my $token_key = 'customer_seats_invitation_token_hash_key';
query(
	q{
	CREATE FUNCTION same(bytea, bytea) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
		AS 'BEGIN RETURN $1 = $2; END';
	CREATE OPERATOR === (FUNCTION = same, LEFTARG = bytea, RIGHTARG = bytea);
	CREATE OPERATOR CLASS own_ops FOR TYPE bytea USING btree AS
		OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 ===, OPERATOR 4 >=, OPERATOR 5 >,
		FUNCTION 1 byteacmp(bytea, bytea);
	CREATE OPERATOR CLASS other_ops FOR TYPE bytea USING btree AS
		OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
		FUNCTION 1 byteacmp(bytea, bytea);
});
foreach (
	[ '', '' ],
	[ '(invitation_token_hash)', '' ],
	[ 'USING hash (invitation_token_hash)', '' ],
	[ 'UNIQUE', '(invitation_token_hash) WHERE invitation_token_hash IS NOT NULL' ],
	[ 'UNIQUE', '((invitation_token_hash || NULL))' ],
	[ 'UNIQUE', '(invitation_token_hash, id)' ],
	[ 'UNIQUE', '(invitation_token_hash own_ops)' ],
	[ 'UNIQUE', '(invitation_token_hash)', '' ],
	[ 'UNIQUE', '(invitation_token_hash other_ops DESC)', '' ],
	[ 'UNIQUE', '(invitation_token_hash) INCLUDE (id)', '' ])
{
	my ($unique, $index, $path) = @$_;

	($unique, $index) = ('', $unique) if $unique =~ /hash/;
	compare(
		name => 'the index on tokens ' . ($index ? "replaced by $unique $index" : 'dropped'),
		alter => "ALTER TABLE seats.$table DROP CONSTRAINT $token_key;"
		  . ($index ? "CREATE $unique INDEX mine ON seats.$table $index" : ''),
		undo => 'DROP INDEX IF EXISTS seats.mine;'
		  . "ALTER TABLE seats.$table ADD CONSTRAINT $token_key UNIQUE (invitation_token_hash)",
		path => $path // "info $seat");
}

compare(
	name => 'a deferrable constraint on tokens',
	alter => "ALTER TABLE seats.$table DROP CONSTRAINT $token_key, "
	  . "ADD CONSTRAINT $token_key UNIQUE (invitation_token_hash) DEFERRABLE",
	undo => "ALTER TABLE seats.$table DROP CONSTRAINT $token_key, "
	  . "ADD CONSTRAINT $token_key UNIQUE (invitation_token_hash)",
	path => "info $seat");
compare(
	name => 'an invalid index on tokens',
	alter => "ALTER TABLE seats.$table DROP CONSTRAINT $token_key;"
	  . "CREATE UNIQUE INDEX mine ON seats.$table (invitation_token_hash);"
	  . q(UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'seats.mine'::regclass),
	undo => 'DROP INDEX seats.mine;'
	  . "ALTER TABLE seats.$table ADD CONSTRAINT $token_key UNIQUE (invitation_token_hash)",
	path => "info $seat");

note 'Constraints of customer_seats';

# Makes cases of CHECK constraints that are added and dropped.
sub check_cases
{
	my ($table, $path, @cases) = @_;

	return table_cases(
		$table, $path,
		map {
			[ "ADD CONSTRAINT mine CHECK $_->[0]", 'DROP CONSTRAINT mine', @$_[ 1 .. $#$_ ] ]
		  }
		  map { ref ? $_ : [$_] } @cases);
}

my $status_check = 'customer_seats_status_check';
my $violated = qr/ERROR:  23514: .*"mine"/;
compare(%$_)
  foreach (
	check_cases(
		$table,
		'',
		'(length(customer_email) < 300)',
		'(tableoid <> 0)',
		'(num_nulls(VARIADIC ARRAY[claim_key_hash]) < 2)',
		'(NULL::boolean)',
		'(revoked_at IS NULL) NO INHERIT',
		[q((claimed_at = modified_at) NOT VALID)]),
	check_cases(
		$table,
		$seat,
		[ '(claimed_at IS NULL) NOT VALID', shows => $violated ],
		[ q((status = 'pending') NOT VALID), shows => $violated ],
		'(is_fine(status))',
		'(length(customer_seats::text) > 9 OR row_to_json(customer_seats) IS NULL)',
		'(customer_email::address IS NOT NULL) NOT VALID',
		'(ARRAY[customer_email]::address[] IS NOT NULL) NOT VALID',
		[ '(claimed_at IS NULL OR is_bad(status)) NOT VALID', shows => $violated ]),
	check_cases(
		$table, '',
		[
			'(claimed_at IS NULL OR 1 / length(left(customer_email, 0)) > 0) NOT VALID',
			shows => qr/ERROR:  22012/
		]),
	{
		name => 'the first of two broken constraints is told',
		alter =>
		  "ALTER TABLE seats.$table ADD CONSTRAINT z CHECK (claimed_at IS NULL) NOT VALID, "
		  . 'ADD CONSTRAINT b CHECK (modified_at IS NULL) NOT VALID',
		undo => "ALTER TABLE seats.$table DROP CONSTRAINT z, DROP CONSTRAINT b",
		path => $seat,
		shows => qr/constraint "b"/
	},
	{
		name => "the extension's constraint made anew with another rule",
		alter => qq{
			CREATE TABLE original AS SELECT pg_get_constraintdef(oid) AS rule FROM pg_constraint
				WHERE conname = '$status_check';
			ALTER TABLE seats.$table DROP CONSTRAINT $status_check,
				ADD CONSTRAINT $status_check CHECK (claimed_at IS NULL OR claim_key_hash IS NOT NULL)
				NOT VALID},
		undo => qq{
			ALTER TABLE seats.$table DROP CONSTRAINT $status_check;
			SELECT 'ALTER TABLE seats.$table ADD CONSTRAINT $status_check ' || rule
				FROM original \\gexec
			DROP TABLE original},
		path => $seat,
		shows => qr/ERROR:  23514: .*"$status_check"/
	},
	{
		name => 'NOT NULL of a column that a claim leaves null',
		alter => "UPDATE seats.$table SET claim_key_hash = ''; "
		  . "ALTER TABLE seats.$table ALTER claim_key_hash SET NOT NULL",
		undo => "ALTER TABLE seats.$table ALTER claim_key_hash DROP NOT NULL; "
		  . "UPDATE seats.$table SET claim_key_hash = NULL",
		path => $seat,
		shows => qr/ERROR:  23502/
	},
	{
		name => 'NOT NULL of a column that a claim sets',
		alter => "UPDATE seats.$table SET claim_key_hash = ''; "
		  . "ALTER TABLE seats.$table ALTER claim_key_hash SET NOT NULL",
		undo => "ALTER TABLE seats.$table ALTER claim_key_hash DROP NOT NULL; "
		  . "UPDATE seats.$table SET claim_key_hash = NULL",
		claim => q(seats.claim_seat(TOKEN, 'key'))
	},
	{
		name => 'a foreign key to the id of seats',
		alter => "CREATE TABLE mine AS SELECT id FROM seats.$table;"
		  . "ALTER TABLE mine ADD FOREIGN KEY (id) REFERENCES seats.$table ON UPDATE CASCADE",
		undo => 'DROP TABLE mine'
	},
	{
		name => 'a foreign key to a column that a claim changes',
		alter => qq{
			CREATE UNIQUE INDEX mine_key ON seats.$table (id, status);
			CREATE TABLE mine AS SELECT id, status FROM seats.$table WHERE customer_email IN EMAILS;
			ALTER TABLE mine ADD FOREIGN KEY (id, status) REFERENCES seats.$table (id, status)},
		undo => 'DROP TABLE mine; DROP INDEX seats.mine_key',
		path => $seat,
		shows => qr/ERROR:  23503/
	},
	{
		name => 'a foreign key of a column that a claim changes',
		alter => qq{
			CREATE TABLE mine (status seats.seat_status PRIMARY KEY);
			INSERT INTO mine VALUES ('pending');
			ALTER TABLE seats.$table ADD CONSTRAINT mine FOREIGN KEY (status)
				REFERENCES mine NOT VALID},
		undo => "ALTER TABLE seats.$table DROP CONSTRAINT mine; DROP TABLE mine",
		path => $seat,
		shows => qr/ERROR:  23503/
	},
	{
		name => 'a deferred foreign key of a column that a claim sets',
		alter => qq{
			CREATE TABLE mine (hash bytea PRIMARY KEY);
			ALTER TABLE seats.$table ADD CONSTRAINT mine FOREIGN KEY (claim_key_hash) REFERENCES mine
				DEFERRABLE INITIALLY DEFERRED},
		undo => "ALTER TABLE seats.$table DROP CONSTRAINT mine; DROP TABLE mine",
		claim => q(seats.claim_seat(TOKEN, 'key')),
		path => $seat,
		shows => qr/ERROR:  23503/
	},);

# A constraint may know a type that changes, of which the table itself is not told.
$owner->query_safe(
	qq{
	CREATE TYPE notes AS (a integer);
	UPDATE seats.$table SET seat_metadata = '{"a": 1, "b": "x"}';
	ALTER TABLE seats.$table ADD CONSTRAINT mine
		CHECK ((jsonb_populate_record(NULL::notes, seat_metadata) IS NULL) IS NOT TRUE)});
attempt('on');
compare(
	name => 'a constraint whose type was altered',
	alter => 'ALTER TYPE notes ADD ATTRIBUTE b integer',
	undo => "ALTER TABLE seats.$table DROP CONSTRAINT mine; DROP TYPE notes;"
	  . "UPDATE seats.$table SET seat_metadata = NULL",
	path => $seat,
	shows => qr/ERROR:  22P02/);

note 'Publications and replica identities';
my $publication = 'CREATE PUBLICATION mine FOR';
my $unpublished = 'DROP PUBLICATION mine';
foreach (
	['ALL TABLES'],
	["TABLE seats.$table"],
	["TABLE seats.$table WHERE (id IS NOT NULL)"],
	[ "TABLE seats.$table WHERE (expiry_watched)", shows => qr/ERROR:  42P10/ ],
	["TABLE seats.$table WHERE (claimed_at IS NULL) WITH (publish = 'insert')"],
	["TABLE seats.$table (id, created_at)"],
	[ "TABLE seats.$table (status)", shows => qr/ERROR:  42P10/ ],
	[
		"TABLE seats.customer_sessions WHERE (created_at > '2000-01-01'), seats.events (id, type)"
	],
	["TABLE seats.events WHERE (type <> '') WITH (publish = 'insert')"])
{
	my ($what, @more) = @$_;

	compare(
		name => "publication for $what",
		alter => "$publication $what",
		undo => $unpublished,
		decoded => 1,
		@more);
}
foreach (
	[ 'NOTHING', 'a publication', shows => qr/ERROR:  55000/ ],
	[ 'NOTHING', '', shows => qr/claimed/ ],
	[ 'FULL', 'a publication', shows => qr/old-key/ ],
	[ 'FULL', '', shows => qr/old-key/ ],
	[ 'USING INDEX mine', 'a publication', shows => qr/claimed/ ])
{
	my ($identity, $published, @more) = @$_;
	my $change = $published ? "$publication TABLE seats.$table" : '';

	compare(
		name => "replica identity $identity" . ($published ? ', with a publication' : ''),
		alter => "CREATE UNIQUE INDEX mine ON seats.$table (id, organization_id);"
		  . "ALTER TABLE seats.$table REPLICA IDENTITY $identity; $change",
		undo => "ALTER TABLE seats.$table REPLICA IDENTITY DEFAULT; DROP INDEX seats.mine;"
		  . ($published ? $unpublished : ''),
		decoded => 1,
		@more);
}

note 'Inheritance, partitions, and other tables in the place of customer_seats';
my $put_back = "DROP TABLE seats.$table; ALTER TABLE seats.old_seats RENAME TO $table";
compare(%$_)
  foreach (
	{
		name => 'a child of customer_seats, which has the rows',
		alter => qq{
			CREATE TABLE child () INHERITS (seats.$table);
			WITH d AS (DELETE FROM ONLY seats.$table WHERE customer_email IN EMAILS RETURNING *)
			INSERT INTO child SELECT * FROM d},
		undo => "DROP TABLE child; ANALYZE seats.$table",
		path => "info $seat",
		shows => qr/^child \{.*"claimed"/m
	},
	can_be_child() ? (
		{
			name => 'customer_seats a child of another',
			alter => "CREATE TABLE parent (id uuid); ALTER TABLE seats.$table INHERIT parent",
			undo => "ALTER TABLE seats.$table NO INHERIT parent; DROP TABLE parent"
		},
		{
			name => 'customer_seats a partition of another',
			alter => "CREATE TABLE parent (LIKE seats.$table) PARTITION BY LIST (organization_id);"
			  . "ALTER TABLE parent ATTACH PARTITION seats.$table DEFAULT",
			undo => "ALTER TABLE parent DETACH PARTITION seats.$table; DROP TABLE parent",
			path => "info $seat"
		}) : (),
	{
		name => 'another table',
		alter => qq{
			ALTER TABLE seats.$table RENAME TO old_seats;
			CREATE TABLE seats.$table (LIKE seats.old_seats INCLUDING ALL);
			INSERT INTO seats.$table SELECT * FROM seats.old_seats},
		undo => $put_back
	},
	{
		name => 'a table with its columns in another order',
		alter => qq{
			ALTER TABLE seats.$table RENAME TO old_seats;
			CREATE TABLE seats.$table AS SELECT suspended_at, claim_key_hash, seat_metadata, revoked_at, claimed_at,
				invitation_token_expires_at, invitation_token_hash, customer_email, customer_id,
				order_id, subscription_id, modified_at, expiry_watched, status, created_at,
				organization_id, id FROM seats.old_seats;
			CREATE UNIQUE INDEX ON seats.$table (invitation_token_hash)},
		undo => $put_back
	},
	{
		name => 'a table with a generated column',
		alter => qq{
			ALTER TABLE seats.$table RENAME TO old_seats;
			CREATE TABLE seats.$table (id uuid, organization_id uuid, created_at timestamptz,
				status seats.seat_status, expiry_watched boolean, modified_at timestamptz,
				subscription_id uuid, order_id uuid, customer_id uuid, customer_email text,
				invitation_token_hash bytea UNIQUE, invitation_token_expires_at timestamptz,
				claimed_at timestamptz, revoked_at timestamptz,
				seat_metadata jsonb GENERATED ALWAYS AS (
					CASE WHEN claimed_at IS NULL THEN '0' ELSE '1' END::jsonb) STORED,
				claim_key_hash bytea, suspended_at timestamptz);
			INSERT INTO seats.$table SELECT id, organization_id, created_at, status,
				expiry_watched, modified_at, subscription_id, order_id, customer_id, customer_email,
				invitation_token_hash, invitation_token_expires_at, claimed_at, revoked_at
				FROM seats.old_seats},
		undo => $put_back,
		path => $seat,
		shows => qr/"seat_metadata":1/
	},
	{
		name => 'a partitioned table',
		alter => qq{
			ALTER TABLE seats.$table RENAME TO old_seats;
			CREATE TABLE seats.$table (LIKE seats.old_seats INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
				PARTITION BY LIST (invitation_token_hash);
			ALTER TABLE seats.$table ADD UNIQUE (invitation_token_hash);
			CREATE TABLE seats.part PARTITION OF seats.$table DEFAULT;
			INSERT INTO seats.$table SELECT * FROM seats.old_seats},
		undo => $put_back,
		path => "info $seat"
	},
	{
		name => 'a partitioned table that has no partition',
		alter => qq{
			ALTER TABLE seats.$table RENAME TO old_seats;
			CREATE TABLE seats.$table (LIKE seats.old_seats INCLUDING DEFAULTS)
				PARTITION BY LIST (invitation_token_hash);
			ALTER TABLE seats.$table ADD UNIQUE (invitation_token_hash)},
		undo => $put_back,
		path => 'info lock',
		shows => qr/PT400/
	},
	{
		name => 'a view',
		alter => "ALTER TABLE seats.$table RENAME TO old_seats;"
		  . "CREATE VIEW seats.$table AS SELECT * FROM seats.old_seats",
		undo => "DROP VIEW seats.$table; ALTER TABLE seats.old_seats RENAME TO $table",
		path => "info $seat",
		shows => qr/ERROR:  39P01/
	},);

note 'Sessions';
$table = 'customer_sessions';
my $broken_session =
  "INSERT INTO seats.$table SELECT '\\x00', id, id, id, now(), now() FROM seats.organizations;";
compare(%$_)
  foreach (
	trigger_case(
		$table, 'BEFORE INSERT', $for_row, 'changed',
		path => 'session',
		shows => qr/ERROR:  09000/),
	trigger_case(
		$table, 'AFTER INSERT', $for_row, 'logged',
		path => 'session',
		shows => qr/AFTER ROW INSERT/),
	trigger_case(
		$table, 'BEFORE INSERT', $for_statement, 'logged',
		path => 'session',
		shows => qr/BEFORE STATEMENT INSERT/),
	trigger_case(
		$table, 'AFTER INSERT', "REFERENCING NEW TABLE AS new_rows $for_statement", 'counted',
		path => 'session',
		shows => qr/^log .*mine \{/m),
	trigger_case(
		$table, 'BEFORE INSERT', $for_row, 'suppressed',
		path => 'session',
		shows => qr/ERROR:  09000/),
	trigger_case($table, 'AFTER UPDATE OR DELETE', $for_row, 'logged'),
	{
		name => 'a deferred trigger on sessions',
		alter => "CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON seats.$table $deferred "
		  . 'EXECUTE FUNCTION logged()',
		undo => "DROP TRIGGER mine ON seats.$table",
		path => 'session',
		shows => qr/AFTER ROW INSERT/
	},
	transaction_cases(
		$table,
		'session',
		[ 'ADD COLUMN note text DEFAULT current_user', shows => qr/"note": / ],
		'ADD COLUMN note bigint GENERATED ALWAYS AS IDENTITY',
		"ADD COLUMN note text; ALTER TABLE seats.$table DROP COLUMN note"),
	transaction_cases(
		$table,
		'session authenticate',
		'ALTER created_at TYPE timestamptz(0)',
		'ALTER expires_at TYPE timestamptz(0)',
		[ 'RENAME COLUMN seat_id TO seat', path => '', shows => qr/42703/ ],
		[ 'ALTER seat_id TYPE text', path => '', shows => qr/ERROR:  42804/ ],
		'DROP CONSTRAINT customer_sessions_pkey'),
	index_cases(
		$table, 'session',
		'(seat_id) WHERE expires_at IS NOT NULL', '((seat_id::text))',
		'USING hash (seat_id)', 'USING brin (created_at)',
		["((1)) WHERE false"]),
	index_cases(
		$table, '',
		'UNIQUE (seat_id)',
		'UNIQUE (token_hash, seat_id) INCLUDE (created_at)',
		'(expires_at DESC, seat_id)'),
	{
		name => 'a unique index of sessions that a claim breaks',
		alter =>
		  "CREATE TABLE saved AS TABLE seats.$table; DELETE FROM seats.$table; $broken_session"
		  . "CREATE UNIQUE INDEX mine ON seats.$table (organization_id)",
		undo => "DROP INDEX seats.mine; DELETE FROM seats.$table;"
		  . "INSERT INTO seats.$table TABLE saved; DROP TABLE saved",
		shows => qr/ERROR:  23505/
	},
	table_cases(
		$table,
		'session',
		[ 'ADD CONSTRAINT mine UNIQUE (seat_id) DEFERRABLE', 'DROP CONSTRAINT mine' ],
		[ 'ADD CONSTRAINT mine EXCLUDE (seat_id WITH =)', 'DROP CONSTRAINT mine' ],
		[
			'ADD CONSTRAINT mine FOREIGN KEY (customer_id) REFERENCES seats.customers',
			'DROP CONSTRAINT mine'
		],
		[
			'ADD CONSTRAINT mine FOREIGN KEY (customer_id) REFERENCES seats.products NOT VALID',
			'DROP CONSTRAINT mine',
			shows => qr/ERROR:  23503/
		]),
	table_cases($table, 'session authenticate', [ 'OWNER TO other', 'OWNER TO CURRENT_USER' ]),
	table_cases(
		$table, '',
		[ 'SET UNLOGGED', 'SET LOGGED' ],
		[ 'ENABLE ROW LEVEL SECURITY', 'DISABLE ROW LEVEL SECURITY' ],
		[ 'SET (fillfactor = 50)', 'RESET (fillfactor)' ]),
	{
		name => 'row security of sessions, forced',
		alter =>
		  "ALTER TABLE seats.$table ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
		undo =>
		  "ALTER TABLE seats.$table DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
		path => 'session authenticate'
	},
	check_cases($table, '', '(expires_at > created_at)', '(length(token_hash) = 32)'),
	check_cases(
		$table, 'session',
		[ '(expires_at <= created_at) NOT VALID', shows => $violated ], '(is_fine(seat_id))'),
	{
		name => 'a foreign key to sessions',
		alter => "CREATE TABLE mine (hash bytea REFERENCES seats.$table)",
		undo => 'DROP TABLE mine'
	},
	{
		name => 'a rule on sessions that does more',
		alter => "CREATE RULE mine AS ON INSERT TO seats.$table DO ALSO "
		  . 'INSERT INTO public.log VALUES (NEW.seat_id)',
		undo => "DROP RULE mine ON seats.$table",
		path => 'session session',
		shows => qr/^log \{/m
	},
	{
		name => 'a rule on sessions that does nothing',
		alter => "CREATE RULE mine AS ON INSERT TO seats.$table DO INSTEAD NOTHING",
		undo => undef,
		path => 'session',
		shows => qr/ERROR:  0A000/
	},);
# PostgreSQL keeps the plan of a statement that a rule does away with, also when the rule is gone.
$owner->query_safe("DROP RULE mine ON seats.$table");
connect_claimer();

note 'Events';
$table = 'events';
my $free = 'ALTER EXTENSION seats DROP SEQUENCE seats.events_id_seq; ALTER TABLE seats.events';
compare(%$_)
  foreach (
	trigger_case(
		$table, 'AFTER INSERT', $for_row, 'notified',
		path => 'event',
		shows => qr/notified of/),
	trigger_case(
		$table, 'BEFORE INSERT', $for_row, 'changed',
		path => 'event',
		shows => qr/by trigger/),
	trigger_case(
		$table, 'BEFORE INSERT', $for_row, 'suppressed',
		path => 'event',
		shows => qr/ERROR:  09000/),
	trigger_case(
		$table, 'AFTER INSERT', $for_row, 'refused',
		path => 'event',
		shows => qr/refused by mine/),
	trigger_case(
		$table, 'AFTER INSERT', "$for_row WHEN (NEW.type LIKE '%.claimed')", 'notified',
		path => 'event',
		shows => qr/notified of/),
	trigger_case(
		$table, 'AFTER INSERT', $for_statement, 'logged',
		path => 'event',
		shows => qr/AFTER STATEMENT/),
	trigger_case($table, 'BEFORE UPDATE OR DELETE', $for_row, 'logged'),
	transaction_cases(
		$table,
		'event',
		[ q(ADD COLUMN note text DEFAULT lower('X')), shows => qr/"note": / ],
		[ 'ADD COLUMN note text GENERATED ALWAYS AS (type) STORED', shows => qr/"note": / ],
		"ADD COLUMN note text; ALTER TABLE seats.$table DROP COLUMN note",
		'ALTER occurred_at TYPE timestamptz(0)',
		[ 'ALTER occurred_at TYPE timestamp', path => '', shows => qr/42804/ ],
		[
			'ALTER metadata TYPE json, ALTER metadata DROP DEFAULT',
			path => '',
			shows => qr/42804/
		],
		'ALTER id TYPE integer',
		'DROP CONSTRAINT events_pkey'),
	(   map {
			{
				name => "events: $_->[0] in the transaction",
				alter => $_->[1],
				transaction => 1,
				path => 'event',
				shows => $_->[2]
			}
		} ( [ 'no identity', "$free ALTER id DROP IDENTITY;", qr/ERROR:  23502/ ],
			[
				'a default instead of the identity',
				"$free ALTER id DROP IDENTITY; CREATE SEQUENCE own START 1000000;"
				  . "ALTER TABLE seats.events ALTER id SET DEFAULT nextval('own');",
				qr/"id": .*"claimed"/
			],
			[
				'a partitioned table',
				'ALTER TABLE seats.events RENAME TO old_events;'
				  . 'ALTER INDEX seats.events_pkey RENAME TO old_pkey;'
				  . 'CREATE TABLE seats.events (LIKE seats.old_events INCLUDING DEFAULTS)'
				  . ' PARTITION BY LIST (type);'
				  . "CREATE SEQUENCE own; ALTER TABLE seats.events ALTER id SET DEFAULT nextval('own');"
				  . 'CREATE TABLE seats.part PARTITION OF seats.events DEFAULT;',
				qr/^seats\.part \{.*claimed/m
			])),
	index_cases($table, '', '(occurred_at, seat_id)', 'UNIQUE (seat_id, type, id)'),
	index_cases(
		$table,
		'event',
		'USING gin (metadata)',
		'USING brin (occurred_at)',
		'USING hash (seat_id)',
		q((occurred_at) WHERE type = 'customer_seat.claimed'),
		'(lower(type))',
		'(shortened(type))'),
	table_cases(
		$table,
		'',
		[ 'SET UNLOGGED', 'SET LOGGED' ],
		[ 'ALTER id SET GENERATED BY DEFAULT', 'ALTER id SET GENERATED ALWAYS' ],
		[
			'ALTER id SET INCREMENT BY 10 SET CACHE 5',
			'ALTER id SET INCREMENT BY 1 SET CACHE 1'
		],
		[ 'ENABLE ROW LEVEL SECURITY', 'DISABLE ROW LEVEL SECURITY' ]),
	table_cases(
		$table,
		'event',
		[ 'OWNER TO other', 'OWNER TO CURRENT_USER' ],
		[
			'ADD CONSTRAINT mine FOREIGN KEY (seat_id) REFERENCES seats.customer_seats NOT VALID',
			'DROP CONSTRAINT mine'
		]),
	check_cases(
		$table,
		'',
		q((metadata ? 'role') NOT VALID),
		q((type LIKE 'customer_seat.%'))),
	check_cases(
		$table,
		'event',
		[ q((type <> 'customer_seat.claimed') NOT VALID), shows => $violated ],
		'(is_fine(metadata))'),
	{
		name => 'row security of events, forced',
		alter =>
		  "ALTER TABLE seats.$table ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
		undo =>
		  "ALTER TABLE seats.$table DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
		path => 'event'
	},
	{
		name => 'numbers of events that are used up',
		alter => 'SELECT max(id) FROM seats.events \gset last_
			SELECT setval(\'seats.events_id_seq\', :last_max);
			ALTER SEQUENCE seats.events_id_seq MAXVALUE :last_max',
		undo => 'ALTER SEQUENCE seats.events_id_seq NO MAXVALUE',
		shows => qr/ERROR:  2200H/
	},
	{
		name => 'a number of an event that is taken',
		alter => q(SELECT setval('seats.events_id_seq', 1, false)),
		undo => q(SELECT setval('seats.events_id_seq', (SELECT max(id) FROM seats.events))),
		shows => qr/ERROR:  23505/
	},
	{
		name => 'events written nowhere',
		session => "SET seats.event_sink = 'none';",
		reset => 'RESET seats.event_sink;'
	},
	{
		name => 'events to logical decoding',
		session => "SET seats.event_sink = 'logical';",
		reset => 'RESET seats.event_sink;',
		decoded => 1,
		shows => qr/prefix: seats/
	},);

compare(
	name => 'a rule on events that does nothing',
	alter => "CREATE RULE mine AS ON INSERT TO seats.$table DO INSTEAD NOTHING",
	undo => undef,
	path => 'event',
	shows => qr/ERROR:  0A000/);
$owner->query_safe("DROP RULE mine ON seats.$table");
connect_claimer();

note 'What is only read';
my $forced = 'ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY';
my $unforced = 'DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY';
my %reader = (
	organizations => 'info organization',
	products => 'info',
	subscriptions => 'info',
	orders => 'info',
	customers => 'authenticate');
foreach my $read (sort keys %reader)
{
	my $path = $reader{$read};

	compare(%$_)
	  foreach (
		table_cases(
			$read, $path,
			[ $forced, $unforced ],
			[ 'OWNER TO other', 'OWNER TO CURRENT_USER' ]),
		table_cases(
			$read, '',
			[ 'ADD COLUMN note text DEFAULT 1', 'DROP COLUMN note' ],
			[ 'ENABLE ROW LEVEL SECURITY', 'DISABLE ROW LEVEL SECURITY' ]),
		{
			name => "a child of $read, which has the rows",
			alter => qq{
				SET session_replication_role = replica;
				CREATE TABLE child (LIKE seats.$read INCLUDING ALL) INHERITS (seats.$read);
				WITH d AS (DELETE FROM ONLY seats.$read RETURNING *) INSERT INTO child SELECT * FROM d},
			undo => qq{
				INSERT INTO seats.$read SELECT * FROM child;
				RESET session_replication_role;
				DROP TABLE child;
				ANALYZE seats.$read},
			path => $path
		},
		{
			name => "a view in the place of $read",
			alter => "ALTER TABLE seats.$read RENAME TO old;"
			  . "CREATE VIEW seats.$read AS SELECT * FROM seats.old",
			undo => "DROP VIEW seats.$read; ALTER TABLE seats.old RENAME TO $read",
			path => $path
		},
		index_cases($read, '', 'UNIQUE (id)'));
}
compare(%$_)
  foreach (
	{
		name => 'a trigger and a rule on organizations',
		alter => trigger('organizations', 'BEFORE INSERT OR UPDATE', $for_row, 'refused')
		  . 'CREATE RULE mine AS ON UPDATE TO seats.organizations DO INSTEAD NOTHING',
		undo =>
		  'DROP TRIGGER mine ON seats.organizations; DROP RULE mine ON seats.organizations'
	},
	{
		name => q(a trigger that calls another extension's function),
		alter => 'CREATE EXTENSION tcn;'
		  . trigger('organizations', 'AFTER UPDATE', $for_row, 'triggered_change_notification'),
		undo => 'DROP TRIGGER mine ON seats.organizations; DROP EXTENSION tcn',
		path => 'info organization'
	},
	table_cases(
		'organizations', 'info organization',
		[ 'RENAME slug TO word', 'RENAME word TO slug', path => 'organization', shows => qr/42703/ ]),
	transaction_cases(
		'organizations', 'info organization', 'DROP CONSTRAINT organizations_pkey CASCADE'),
	transaction_cases(
		'products', 'info',
		[ 'ALTER name TYPE varchar(20)', path => '', shows => qr/ERROR:  42804/ ],
		'DROP CONSTRAINT products_pkey'),
	{
		name => 'an organization that may not use seats',
		alter => 'UPDATE seats.organizations SET seat_based_pricing_enabled = false',
		undo => 'UPDATE seats.organizations SET seat_based_pricing_enabled = true',
		shows => qr/PT403/
	},);

note 'Levels of isolation and modes of the session';
compare(%$_)
  foreach (
	(   map {
			{
				name => $_,
				session => "SET default_transaction_isolation = '$_';",
				reset => 'RESET default_transaction_isolation;',
				path => "$seat event session"
			}
		} ('repeatable read', 'serializable')),
	{
		name => 'a transaction of a stricter level',
		session => 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT;',
		reset => 'COMMIT;',
		path => "$seat event session"
	},
	{
		name => 'read uncommitted',
		session => "SET default_transaction_isolation = 'read uncommitted';",
		reset => 'RESET default_transaction_isolation;'
	},
	{
		name => 'a read-only transaction',
		session => 'SET default_transaction_read_only = on;',
		reset => 'RESET default_transaction_read_only;',
		shows => qr/ERROR:  25006/
	},
	{
		name => 'a replica',
		session => 'SET session_replication_role = replica;',
		reset => 'RESET session_replication_role;'
	},
	{
		name => 'row security turned off',
		session => 'SET row_security = off;',
		reset => 'RESET row_security;'
	},);

note 'An owner who is not a superuser';
# Gives all that the extension has to a role, or back.
sub owned_by
{
	my ($role) = @_;

	return qq{
		SELECT format('ALTER %s %s OWNER TO $role',
			CASE WHEN relkind = 'r' THEN 'TABLE' ELSE 'VIEW' END, oid::regclass)
		FROM pg_class WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'v') \\gexec
		SELECT format('ALTER FUNCTION %s OWNER TO $role', oid::regprocedure)
		FROM pg_proc WHERE pronamespace = 'seats'::regnamespace \\gexec
	};
}

$owner->query_safe(owned_by('other'));
my $protected = "ALTER TABLE seats.%s $forced";
my $unprotected = "ALTER TABLE seats.%s $unforced";
# The statements of a call and the error of a right that is missing.
my $denied = qr/ERROR:  42501/;
compare(%$_)
  foreach (
	{ name => 'another owner' },
	(   map {
			my ($right, $table, $path, @more) = @$_;
			{
				name => "without $right on $table",
				alter => "REVOKE $right ON seats.$table FROM other",
				undo => "GRANT $right ON seats.$table TO other",
				path => $path,
				@more
			}
		} ( [ 'UPDATE', 'customer_seats', 'info lock', shows => $denied ],
			[ 'SELECT', 'customer_seats', 'info lock', shows => $denied ],
			[ 'INSERT', 'customer_seats', '' ],
			[ 'INSERT', 'customer_sessions', 'session authenticate', shows => $denied ],
			[ 'SELECT', 'customer_sessions', 'session authenticate', shows => $denied ],
			[ 'INSERT', 'events', 'event', shows => $denied ],
			[ 'SELECT', 'events', 'event' ],
			[ 'SELECT', 'organizations', 'info organization', shows => $denied ],
			[ 'SELECT', 'products', 'info', shows => $denied ],
			[ 'SELECT', 'customers', 'authenticate', shows => $denied ],
			[ 'SELECT', 'orders', 'info', shows => $denied ])),
	(   map {
			my ($name, $alter, $undo, $path, @more) = @$_;
			{ name => $name, alter => $alter, undo => $undo, path => $path, @more }
		} ( [
				'without the right to use the schema',
				'REVOKE USAGE ON SCHEMA seats FROM other',
				'GRANT USAGE ON SCHEMA seats TO other',
				'info lock authenticate',
				shows => $denied
			],
			[
				'row security that the owner is under',
				sprintf($protected, 'customer_seats'),
				sprintf($unprotected, 'customer_seats')
				  . ';ALTER TABLE seats.customer_seats ENABLE ROW LEVEL SECURITY',
				'info lock',
				shows => qr/PT400/
			],
			[
				'and a policy that lets him read',
				sprintf($protected, 'customer_seats')
				  . ';CREATE POLICY mine ON seats.customer_seats USING (true)'
				  . ' WITH CHECK (claimed_at IS NULL)',
				'DROP POLICY mine ON seats.customer_seats;'
				  . sprintf($unprotected, 'customer_seats')
				  . ';ALTER TABLE seats.customer_seats ENABLE ROW LEVEL SECURITY',
				"info $seat",
				shows => $denied
			],
			[
				'row security of events that he is under',
				sprintf($protected, 'events'),
				sprintf($unprotected, 'events'),
				'event',
				shows => $denied
			],
			[
				'row security of events that he may bypass',
				sprintf($protected, 'events') . '; ALTER ROLE other BYPASSRLS',
				sprintf($unprotected, 'events') . '; ALTER ROLE other NOBYPASSRLS',
				'event'
			],
			[
				'an owner without rights on the sequence of events',
				'REVOKE ALL ON SEQUENCE seats.events_id_seq FROM other',
				'GRANT ALL ON SEQUENCE seats.events_id_seq TO other',
				''
			],
			[
				'a superuser without rights',
				'REVOKE ALL ON seats.customer_seats FROM other; ALTER ROLE other SUPERUSER',
				'GRANT ALL ON seats.customer_seats TO other; ALTER ROLE other NOSUPERUSER',
				''
			],
			[
				'an owner of the functions alone, with all rights',
				'CREATE ROLE functions; GRANT ALL ON ALL TABLES IN SCHEMA seats TO functions;'
				  . 'GRANT USAGE ON SCHEMA seats TO functions;'
				  . 'ALTER FUNCTION seats.claim_seat OWNER TO functions',
				'ALTER FUNCTION seats.claim_seat OWNER TO other;'
				  . 'DROP OWNED BY functions; DROP ROLE functions',
				'lock',
				shows => qr/PT400/
			],
			[
				'a function of the caller, who is a superuser',
				'ALTER FUNCTION seats.claim_seat SECURITY INVOKER',
				'ALTER FUNCTION seats.claim_seat SECURITY DEFINER',
				$all_of_claim
			],
			[
				'functions of a superuser',
				'ALTER FUNCTION seats.claim_seat OWNER TO CURRENT_USER',
				'ALTER FUNCTION seats.claim_seat OWNER TO other',
				$all_of_claim
			])),
	{
		name => 'a caller who is the owner',
		session => 'SET ROLE other;',
		reset => 'RESET ROLE;'
	},);

# Of what a role may do as a superuser the table itself does not tell.
$owner->query_safe('REVOKE ALL ON seats.customer_seats FROM other; ALTER ROLE other SUPERUSER');
attempt('on');
compare(
	name => 'an owner without rights who was a superuser',
	alter => 'ALTER ROLE other NOSUPERUSER',
	undo => 'ALTER ROLE other SUPERUSER',
	path => 'info lock',
	shows => $denied);
$owner->query_safe('ALTER ROLE other NOSUPERUSER; GRANT ALL ON seats.customer_seats TO other');
$owner->query_safe(owned_by('CURRENT_USER'));
is((attempt('on'))[0], '', 'the tables are the superuser\'s again');

note 'Transactions';
my $claimed = 'SELECT (seat).status FROM seats.claim_seat';
# How many of three seats are claimed.
my ($pending, $has) = ('pending 0 assigned', 'claimed 1 assigned+claimed');
my $none = join ', ', ($pending) x 3;
my $first = join ', ', $has, $pending, $pending;
my $first_two = join ', ', $has, $has, $pending;
compare_scripts(
	'rolled back to a savepoint', qq{
	BEGIN;
	SAVEPOINT a;
	$claimed(TOKEN1);
	ROLLBACK TO a;
	$claimed(TOKEN1);
	SAVEPOINT b;
	$claimed(TOKEN2);
	RELEASE b;
	COMMIT;
}, "claimed\nclaimed\nclaimed\n$first_two",
	path => '');
compare_scripts(
	'in blocks with an exception', qq{
	DO \$\$
	BEGIN
		BEGIN
			PERFORM seats.claim_seat(TOKEN1);
			RAISE 'no';
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE 'caught %', SQLERRM;
		END;
		BEGIN
			PERFORM seats.claim_seat(TOKEN2);
			PERFORM seats.claim_seat(TOKEN2);
		EXCEPTION WHEN SQLSTATE 'PT400' THEN
			RAISE NOTICE 'caught %', SQLERRM;
		END;
		PERFORM seats.claim_seat(TOKEN3);
	END \$\$;
	$claimed(TOKEN2);
},
	"claimed\nNOTICE:  00000: caught no\n"
	  . "NOTICE:  00000: caught Invalid, expired, or already claimed token\n"
	  . 'pending 0 assigned, claimed 1 assigned+claimed, claimed 1 assigned+claimed');
compare_scripts(
	'beside other changes of one statement', qq{
	WITH u AS (UPDATE seats.customer_seats SET seat_metadata = '{"a": 1}'
		WHERE id = SEAT1 RETURNING id),
	i AS (INSERT INTO log SELECT 'x' FROM u RETURNING entry),
	d AS (DELETE FROM log USING i WHERE false)
	SELECT (seat).status, (seat).seat_metadata FROM u, seats.claim_seat(TOKEN1);
	SELECT seat_metadata, status FROM seats.customer_seats WHERE id = SEAT1;
},
	qq(claimed|{"a": 1}\n{"a": 1}|claimed\n$first),
	path => $seat);
compare_scripts(
	'two in one statement', qq{
	SELECT (a.seat).status, (b.seat).status
	FROM seats.claim_seat(TOKEN1) AS a, seats.claim_seat(TOKEN2) AS b;
}, "claimed|claimed\n$first_two", path => '');
my $twice = "ERROR:  PT400: Invalid, expired, or already claimed token\n"
  . "DETAIL:  seat_already_claimed\nHINT:  Sign in. This invitation has already been used to claim the seat.";
compare_scripts(
	'the same seat twice in one statement', qq{
	SELECT (a.seat).status, (b.seat).status
	FROM seats.claim_seat(TOKEN1) AS a, seats.claim_seat(TOKEN1) AS b;
}, "$twice\n$none", path => '');
compare_scripts(
	'twice with an idempotency key', qq{
	SELECT (a.seat).status, (b.seat).status
	FROM seats.claim_seat(TOKEN1, 'key') AS a, seats.claim_seat(TOKEN1, 'key') AS b;
	$claimed(TOKEN1, 'key');
	$claimed(TOKEN1, 'other');
}, "claimed|claimed\nclaimed\n$twice\n$first");
compare_scripts(
	'assigned, claimed and revoked in one statement and in one transaction', qq{
	SELECT (c.seat).status, r.status FROM
		seats.assign_seat('$shop', email => md5(SEAT1) || '\@x') AS a,
		seats.claim_seat(a.invitation_token) AS c, seats.revoke_seat((c.seat).id) AS r;
	BEGIN;
	SELECT (c.seat).status FROM seats.assign_seat('$shop', email => md5(SEAT2) || '\@x') AS a,
		seats.claim_seat(a.invitation_token) AS c;
	$claimed(TOKEN1);
	SELECT status FROM seats.revoke_seat(SEAT1);
	$claimed(TOKEN2);
	COMMIT;
},
	"claimed|revoked\nclaimed\nclaimed\nrevoked\nclaimed\n"
	  . 'revoked 0 assigned+claimed+revoked, claimed 1 assigned+claimed, pending 0 assigned');
compare_scripts(
	'with a cursor', qq{
	BEGIN;
	DECLARE c CURSOR FOR
		SELECT (seats.claim_seat(t)).seat.status FROM unnest(ARRAY[TOKEN1, TOKEN2]) AS t;
	FETCH 1 FROM c;
	SELECT count(*) FROM seats.customer_sessions WHERE seat_id = SEAT1;
	FETCH 1 FROM c;
	COMMIT;
}, "claimed\n1\nclaimed\n$first_two");
compare_scripts(
	'with a cursor that is read when the transaction ends', qq{
	BEGIN;
	DECLARE c CURSOR WITH HOLD FOR
		SELECT (seats.claim_seat(t)).seat.status FROM unnest(ARRAY[TOKEN1, TOKEN2]) AS t;
	COMMIT;
	FETCH 2 FROM c;
	CLOSE c;
}, "claimed\nclaimed\n$first_two", path => '');
compare_scripts(
	'with transactions in a block', qq{
	DO \$\$
	BEGIN
		PERFORM seats.claim_seat(TOKEN1);
		COMMIT;
		PERFORM seats.claim_seat(TOKEN2);
		ROLLBACK;
		PERFORM seats.claim_seat(TOKEN2);
		COMMIT;
		PERFORM seats.claim_seat(TOKEN3);
		ROLLBACK;
	END \$\$;
}, $first_two, path => '');
compare_scripts(
	'in two phases', qq{
	BEGIN;
	$claimed(TOKEN1);
	PREPARE TRANSACTION 'one';
	BEGIN;
	$claimed(TOKEN2);
	PREPARE TRANSACTION 'two';
	SELECT status FROM seats.customer_seats WHERE id = SEAT1;
	COMMIT PREPARED 'one';
	ROLLBACK PREPARED 'two';
	$claimed(TOKEN1);
	$claimed(TOKEN2);
}, "claimed\nclaimed\npending\nclaimed\n$twice\n" . $first_two);
compare_scripts(
	'in an UPDATE of the same row', qq{
	UPDATE seats.customer_seats SET seat_metadata = '{}'
	WHERE id = SEAT1 AND ((seats.claim_seat(TOKEN1)).seat).status = 'claimed';
	$claimed(TOKEN1);
},
	"claimed\nERROR:  27000: tuple to be updated was already modified by an operation "
	  . "triggered by the current command\nHINT:  Consider using an AFTER trigger instead of a "
	  . "BEFORE trigger to propagate changes to other rows.\n"
	  . $first);
compare_scripts(
	'and then signed in, in one statement and in the next', qq{
	BEGIN;
	SELECT c.customer_session_token AS session FROM seats.claim_seat(TOKEN1) AS c \\gset
	SELECT seat_id = SEAT1 FROM seats.authenticate(:'session');
	SELECT can_claim FROM seats.claim_info(TOKEN1);
	COMMIT;
	SELECT can_claim, seats.claim_seat(TOKEN2) IS NULL, (seats.claim_info(TOKEN2)).can_claim
	FROM seats.claim_info(TOKEN2);
	SELECT a.seat_id
	FROM seats.claim_seat(TOKEN3) AS c, seats.authenticate(c.customer_session_token) AS a;
},
	"t\nf\nt|f|t\nERROR:  PT401: Invalid or expired session token\n"
	  . "DETAIL:  session_invalid\nHINT:  Sign in again.\n"
	  . $first_two, path => '');
foreach my $lock ('FOR KEY SHARE', 'FOR SHARE', 'FOR NO KEY UPDATE', 'FOR UPDATE')
{
	compare_scripts(
		"of a row that the transaction has locked $lock", qq{
		BEGIN;
		SELECT FROM seats.customer_seats WHERE id = SEAT1 $lock;
		$claimed(TOKEN1);
		SAVEPOINT a;
		SELECT FROM seats.customer_seats WHERE id = SEAT2 $lock;
		ROLLBACK TO a;
		$claimed(TOKEN2);
		COMMIT;
	}, "claimed\nclaimed\n" . $first_two);
}
compare_scripts(
	'of a row that the transaction has changed', qq{
	BEGIN;
	UPDATE seats.customer_seats SET seat_metadata = '{"a": 1}' WHERE id = SEAT1;
	SELECT (seat).seat_metadata FROM seats.claim_seat(TOKEN1);
	UPDATE seats.customer_seats SET seat_metadata = seat_metadata || '{"b": 1}' WHERE id = SEAT1;
	SAVEPOINT a;
	UPDATE seats.customer_seats SET seat_metadata = '{"a": 1}' WHERE id = SEAT2;
	ROLLBACK TO a;
	SELECT (seat).seat_metadata FROM seats.claim_seat(TOKEN2);
	UPDATE seats.organizations SET seat_based_pricing_enabled = false;
	$claimed(TOKEN3);
	ROLLBACK;
},
		qq({"a": 1}\n\nERROR:  PT403: Seat-based pricing not enabled for organization\n)
	  . "DETAIL:  seat_based_pricing_not_enabled\n"
	  . "HINT:  Set the organization's seat_based_pricing_enabled to true.\n"
	  . $none);
my $expired = "ERROR:  PT400: Invalid, expired, or already claimed token\n"
  . "DETAIL:  invitation_expired\nHINT:  Ask whoever invited you to send the invitation again.";
compare_scripts('of a seat whose invitation has expired', qq{
	UPDATE seats.customer_seats SET invitation_token_expires_at = now() WHERE id IN (SEAT1, SEAT2);
	SELECT can_claim FROM seats.claim_info(TOKEN1);
	$claimed(TOKEN1);
	$claimed(TOKEN2, 'key');
}, join("\n", 'f', ($expired) x 2, $none), path => '');
compare_scripts(
	'an alteration in a subtransaction that is rolled back', qq{
	BEGIN;
	$claimed(TOKEN1);
	SAVEPOINT a;
	${\trigger('customer_seats', 'BEFORE UPDATE', $for_row, 'refused')}
	$claimed(TOKEN2);
	ROLLBACK TO a;
	$claimed(TOKEN2);
	SAVEPOINT b;
	${\trigger('customer_seats', 'BEFORE UPDATE', $for_row, 'changed')}
	SELECT (seat).seat_metadata FROM seats.claim_seat(TOKEN3);
	ROLLBACK;
	$claimed(TOKEN1);
}, qq(claimed\nclaimed\n{"changed": "by trigger"}\nclaimed\nERROR:  P0001: refused by mine\n)
	  . $first,
	path => "$seat $seat");
compare_scripts(
	'in a function that is STABLE', qq{
	CREATE OR REPLACE FUNCTION stable_claim(token text) RETURNS text LANGUAGE plpgsql STABLE
		AS 'BEGIN RETURN ((seats.claim_seat(token)).seat).status; END';
	SELECT stable_claim(TOKEN1), stable_claim(TOKEN2);
}, "claimed|claimed\n$first_two");
compare_scripts(
	'in a trigger', qq{
	CREATE TABLE click (token text);
	CREATE FUNCTION click() RETURNS trigger LANGUAGE plpgsql
		AS 'BEGIN PERFORM seats.claim_seat(NEW.token); RETURN NEW; END';
	CREATE TRIGGER click BEFORE INSERT ON click FOR EACH ROW EXECUTE FUNCTION click();
	INSERT INTO click VALUES (TOKEN1);
	INSERT INTO click VALUES (TOKEN3), (TOKEN1);
	DROP TRIGGER click ON click;
	CREATE CONSTRAINT TRIGGER click AFTER INSERT ON click DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION click();
	INSERT INTO click VALUES (TOKEN2);
	INSERT INTO click VALUES (TOKEN3), (TOKEN1);
	DROP TABLE click;
	DROP FUNCTION click();
}, "$twice\n$twice\n$first_two");
compare_scripts(
	'and its seat deleted', qq{
	BEGIN;
	$claimed(TOKEN1);
	DELETE FROM seats.customer_seats WHERE id = SEAT1;
	$claimed(TOKEN2);
	COMMIT;
}, "claimed\nclaimed\ngone 0 assigned+claimed, claimed 1 assigned+claimed, pending 0 assigned"
);
compare_scripts(
	'by parallel workers', qq{
	SELECT c.customer_session_token AS session FROM seats.claim_seat(TOKEN1) AS c \\gset
	SELECT set_config(name, 'on', false) IS NULL FROM pg_settings
		WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
	SELECT a.seat_id = SEAT1, i.can_claim
	FROM seats.authenticate(:'session') AS a, seats.claim_info(TOKEN2) AS i;
	SELECT set_config(name, 'off', false) IS NULL FROM pg_settings
		WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
}, "f\nt|t\nf\n$first");

# Values that are stored out of line.
compare_scripts(
	'of a row with a long value', qq{
	UPDATE seats.customer_seats SET seat_metadata = (
		SELECT jsonb_object_agg(n, md5(n::text)) FROM generate_series(1, 2000) AS n)
		WHERE id IN (SEAT1, SEAT2);
	SELECT md5((seat).seat_metadata::text) FROM seats.claim_seat(TOKEN1);
	UPDATE seats.customer_seats SET customer_email = repeat('x', 20000) || '\@x' WHERE id = SEAT2;
	SELECT md5(customer_email) FROM seats.claim_info(TOKEN2);
	SELECT md5((seat).seat_metadata::text) FROM seats.claim_seat(TOKEN2);
	SELECT count(DISTINCT md5(seat_metadata::text))
	FROM seats.customer_seats WHERE id IN (SEAT1, SEAT2);
},
	query(
		q{
	WITH m AS (SELECT jsonb_object_agg(n, md5(n::text)) FROM generate_series(1, 2000) AS n)
	SELECT md5(jsonb_object_agg::text) || E'\n' || md5(repeat('x', 20000) || '@x') || E'\n'
		|| md5(jsonb_object_agg::text) FROM m})
	  . "\n1\n$first_two");

# A row that is inserted with a foreign key to nothing, of which the check comes later.
my $insert = qq{INSERT INTO seats.customer_seats
		(organization_id, subscription_id, customer_id, status, invitation_token_hash,
		invitation_token_expires_at)
	SELECT organization_id, subscription_id, SEAT2, status, sha256(TOKEN1), invitation_token_expires_at
	FROM seats.customer_seats WHERE id = SEAT1 RETURNING 1};
my $dangling =
  q(ERROR:  23503: insert or update on table "customer_seats" violates foreign key constraint )
  . qq("customer_seats_customer_fkey"\nDETAIL:  Key (organization_id, customer_id)=(<uuid 1>, <uuid 2>) )
  . qq(is not present in table "customers".\n);
my $free_token =
  "UPDATE seats.customer_seats SET invitation_token_hash = sha256(SEAT1) WHERE id = SEAT1;";
compare_scripts(
	'of a row that the same statement inserts, without a customer', qq{
	BEGIN;
	$free_token
	WITH i AS ($insert) SELECT (c.seat).status FROM i, seats.claim_seat(TOKEN1) AS c;
	COMMIT;
}, "${dangling}$none");
compare_scripts(
	'of a row that the transaction inserted, without a customer', qq{
	BEGIN;
	ALTER TABLE seats.customer_seats ALTER CONSTRAINT customer_seats_customer_fkey
		DEFERRABLE INITIALLY DEFERRED;
	$free_token
	$insert;
	$claimed(TOKEN1);
	SET CONSTRAINTS ALL IMMEDIATE;
	ROLLBACK;
}, "1\nclaimed\n${dangling}$none");

note 'Rows that are not as the extension would have written them';
compare_scripts(
	'claim_info of rows that break a constraint that was dropped', qq{
	BEGIN;
	ALTER TABLE seats.customer_seats DROP CONSTRAINT customer_seats_status_check;
	UPDATE seats.customer_seats SET status = 'claimed' WHERE id = SEAT1;
	UPDATE seats.customer_seats SET invitation_token_expires_at = NULL WHERE id = SEAT2;
	SELECT can_claim FROM seats.claim_info(TOKEN1);
	SELECT can_claim IS NULL FROM seats.claim_info(TOKEN2);
	ROLLBACK;
}, "f\nt\n$none");

note 'A full page';
# A row that finds no room on its page gets entries in all indexes.
query(
	q{
	ALTER TABLE seats.customer_seats SET (fillfactor = 100);
	VACUUM FULL seats.customer_seats;
});
foreach my $direct_access ('on', 'off')
{
	my @seats = map { [ next_invitation() ] } 1 .. 5;
	my $list = join ', ', map { "'$_->[1]'" } @seats;
	my $before =
	  "SELECT string_agg(split_part(ctid::text, ',', 1), ' ' ORDER BY id) "
	  . "FROM seats.customer_seats WHERE id IN ($list)";
	my $pages = query($before);
	my ($path) = run_in_claimer(
		join "\n",
		"SET seats.direct_access = $direct_access;",
		map { "$claimed('$_->[0]');" } @seats);

	is( $path,
		$direct_access eq 'on' ? '' : join(' ', ($all_of_claim) x 5),
		"direct access $direct_access: claims on full pages");
	isnt(query($before), $pages, 'which go to another page');
	foreach my $column ('id', 'customer_id', 'invitation_token_hash')
	{
		is( query(
				qq{
				SET enable_seqscan = off; SET enable_bitmapscan = off;
				SELECT count(*), count(*) FILTER (WHERE s.status = 'claimed')
				FROM (SELECT $column AS key FROM seats.customer_seats WHERE id IN ($list) OFFSET 0) AS k
				JOIN seats.customer_seats AS s ON s.$column = k.key
			}),
			'5|5',
			"and are found by $column");
	}
}
query('ALTER TABLE seats.customer_seats SET (fillfactor = 80)');

note 'All together';
is( query(
		q{
		SELECT count(*) FROM (
			SELECT bt_index_check(i.indexrelid, true) FROM pg_index AS i
			JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
			WHERE amname = 'btree' AND c.relnamespace = 'seats'::regnamespace) AS checked
	}),
	query(q{SELECT count(*) FROM pg_indexes WHERE schemaname = 'seats'}),
	'all indexes have all rows');
is( query(
		q{
			SELECT * FROM pg_class AS c, verify_heapam(c.oid)
			WHERE relkind = 'r' AND relnamespace = 'seats'::regnamespace
		}
	),
	'',
	'and the tables are sound');

note 'Other extensions of the same name';
# While the schema has another name there is no seats.customer_seats.
my ($renamed) = next_invitation();
($path, $outcome) = run_in_claimer(
	qq{
	SET seats.direct_access = on;
	$claimed('$renamed');
	BEGIN;
	ALTER SCHEMA seats RENAME TO moved;
	SELECT FROM moved.claim_info('$renamed');
	ROLLBACK;
	BEGIN;
	ALTER SCHEMA seats RENAME TO moved;
	SELECT FROM moved.claim_seat('$renamed');
	ROLLBACK;
});
is($path, 'info lock', 'the schema renamed: through the executor');
like(
	$outcome,
	qr/ERROR:  42P01: relation "seats.customer_seats" does not exist/,
	'the schema renamed: an error');
is((attempt('on'))[0], '', 'the schema renamed: direct again');

# The session, which has claimed, goes on with another extension.
query(
	q{
	SET client_min_messages = warning;
	DROP EXTENSION seats CASCADE;
	DROP EXTENSION pgcrypto;
});
create_shop(1000);
assign_many(300);
$signed_in = claim((next_invitation())[0]);
compare(name => 'made again');

# In a database that was updated from 1.0 the columns of seats stand in another order.
my $order = q{SELECT attnum FROM pg_attribute WHERE attrelid = 'seats.customer_seats'::regclass AND attname = 'status'};
my $fresh = query($order);
query(
	q{
	SET client_min_messages = warning;
	DROP EXTENSION seats CASCADE;
	CREATE EXTENSION seats VERSION '1.0';
	ALTER EXTENSION seats UPDATE;
});
create_shop(1000);
assign_many(300);
$signed_in = claim((next_invitation())[0]);
isnt(query($order), $fresh, 'columns stand in another order');
compare(name => 'updated from 1.0');
compare(
	name => 'updated from 1.0, a key',
	claim => q(seats.claim_seat(TOKEN, 'key')));
compare(
	name => 'updated from 1.0, a foreign key of a column that a claim changes',
	alter => q{
		CREATE TABLE mine (status seats.seat_status PRIMARY KEY);
		INSERT INTO mine VALUES ('pending');
		ALTER TABLE seats.customer_seats ADD CONSTRAINT mine FOREIGN KEY (status) REFERENCES mine NOT VALID},
	undo => 'ALTER TABLE seats.customer_seats DROP CONSTRAINT mine; DROP TABLE mine',
	path => $seat,
	shows => qr/ERROR:  23503/);

# A column stays in the table for good when it is dropped.
compare(
	name => 'a column',
	alter => 'ALTER TABLE seats.customer_seats ADD note text',
	undo => undef,
	path => $seat);
compare(
	name => 'a column dropped',
	alter => 'ALTER TABLE seats.customer_seats DROP note',
	undo => undef,
	path => $seat);

$claimer->quit;
$owner->quit;

note 'What ended the server before it was looked at';
# Runs statements that are rolled back, with direct access on and off.
sub survived
{
	my ($name, $sql, $expected) = @_;

	foreach my $direct_access ('on', 'off')
	{
		is( outcome("BEGIN; SET LOCAL seats.direct_access = $direct_access;\n$sql\nROLLBACK;"),
			$expected, "$name, direct access $direct_access");
		$node->poll_query_until('postgres', 'SELECT true');
	}
}

my ($token, $seat_id) = next_invitation();
query(
	qq{
	INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
		VALUES ('$shop', '$shop', '$shop', '$shop', 1, 'paid');
});
survived(
	'a seat of no purchase', qq{
	ALTER TABLE seats.customer_seats DROP CONSTRAINT customer_seats_purchase_check;
	UPDATE seats.customer_seats SET subscription_id = NULL WHERE id = '$seat_id';
	SELECT seats.claim_info('$token');
}, 'PT400 invitation_invalid');
survived(
	'a session of nobody', qq{
	SELECT customer_session_token AS session FROM seats.claim_seat('$token') \\gset
	ALTER TABLE seats.customer_sessions ALTER customer_id DROP NOT NULL;
	UPDATE seats.customer_sessions SET customer_id = NULL;
	SELECT seats.authenticate(:'session');
}, 'PT401 session_invalid');
survived(
	'a product whose name is a number', qq{
	ALTER TABLE seats.products ALTER name TYPE integer USING length(name);
	SELECT seats.claim_info('$token');
}, '42804 column "name" of table seats.products has type integer instead of text');

done_testing();
