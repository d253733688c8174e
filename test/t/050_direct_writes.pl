# Seats, counts, customers and events that are written without the executor are what the statements write.  There
# are two databases with the same rows; in one of them calls run with direct access on, in the other with it off.
# The tables of both are altered in every way we could think of.  After each alteration one story of calls is
# told in both: what each call returned or raised, and all rows afterwards, must be the same, and what of it
# went through the executor is what we expect.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;

my $node = start_node('direct_writes', q{
	wal_level = logical
	autovacuum = off
	fsync = off
	log_statement = none
	log_min_messages = fatal
});
my @modes = ('on', 'off');
my (%owner, %caller);

# How many stories can be told, each with an organization of its own.
my $stories = 490;
my $story = 0;

# Starts a session in a database, which goes on after errors.
sub connect_to
{
	my ($mode) = @_;
	my $session = $node->background_psql($mode, on_error_stop => 0);

	$session->query_safe(q{
		\set VERBOSITY verbose
		\set SHOW_CONTEXT never
		SET client_min_messages = warning;
	});
	return $session;
}

# Starts the callers' sessions, or others in their place.
sub connect_callers
{
	foreach my $mode (@modes)
	{
		$caller{$mode}->quit if $caller{$mode};
		$caller{$mode} = connect_to($mode);
		$caller{$mode}->query_safe(qq{
			LOAD 'auto_explain';
			RESET client_min_messages;
			SET auto_explain.log_nested_statements = on;
			SET auto_explain.log_level = notice;
			SET auto_explain.log_min_duration = } . ($mode eq 'on' ? 0 : -1) . qq{;
			SET seats.direct_access = $mode;
			\\pset null -
		});
	}
}

# The statements that calls run where they cannot do without the executor.
my $statements = qr{
	(?<insert>INSERT\ INTO\ seats\.customer_seats\ AS)
	| (?<update>UPDATE\ seats\.customer_seats\ AS\ s\ SET\ (?!expiry_watched))
	| (?<count>SET\ assigned_seats\ =\ assigned_seats\ \+)
	| (?<customer>INSERT\ INTO\ seats\.customers\ AS)
	| (?<event>INSERT\ INTO\ seats\.events)
	| (?<session>INSERT\ INTO\ seats\.customer_sessions)
	| (?<purchase>FROM\ seats\.(?:subscriptions|orders)\ WHERE\ id\ =\ \$1\ FOR)
	| (?<organization>FROM\ seats\.organizations\ WHERE\ id)
	| (?<seat>FROM\ seats\.customer_seats\ (?:WHERE\ id\ =\ \$1|AS\ s\ WHERE\ s\.id\ =\ \$1\ FOR))
}x;

# The story: calls by their names, in their order.  What "as" gives becomes variables of psql.
my $large = join ', ', map { qq("key$_": ") . ($_ x 85) . '"' } 0 .. 9;
my @calls = (
	[ new => q{seats.assign_seat(:'s', email => 'New@x')}, as => '(r.seat).id AS new' ],
	[ other => q{seats.assign_seat(:'s', email => 'other@x')}, as => '(r.seat).id AS other' ],
	[ known => q{seats.assign_seat(:'s', email => 'KNOWN@x')} ],
	[ again => q{seats.assign_seat(:'s', email => 'known@X')} ],
	[ 'by id' => q{seats.assign_seat(:'s', customer_id => :'known_id', metadata => '{"a": 1}')} ],
	[ 'by external id' => q{seats.assign_seat(:'s', external_customer_id => 'ext')} ],
	[ unknown => q{seats.assign_seat(:'s', external_customer_id => 'none')} ],
	[ 'at once' => q{seats.assign_seat(:'s', email => 'now@x', immediate_claim => true)} ],
	[ metadata => qq{seats.assign_seat(:'s', email => 'large\@x', metadata => '{$large}')}, as => '(r.seat).id AS large' ],
	[ 'too few' => q{seats.assign_seats(:'s', emails => '{few1@x,few2@x,few3@x}')} ],
	[ resend => q{seats.resend_invitation(:'pend')} ],
	[ 'resend large' => q{seats.resend_invitation(:'large')}, as => 'r.invitation_token AS large_token' ],
	[ 'resend claimed' => q{seats.resend_invitation(:'claim')} ],
	[ claim => q{seats.claim_seat(:'todo_token')} ],
	[ 'claim large' => q{seats.claim_seat(:'large_token', 'key')} ],
	[ 'revoke pending' => q{seats.revoke_seat(:'pend')} ],
	[ 'revoke claimed' => q{seats.revoke_seat(:'claim')} ],
	[ 'revoke suspended' => q{seats.revoke_seat(:'idle1')} ],
	[ 'revoke suspended, pending' => q{seats.revoke_seat(:'idle2')} ],
	[ 'revoke revoked' => q{seats.revoke_seat(:'pend')} ],
	[ reuse => q{seats.assign_seat(:'s', email => 'reuse@x')} ],
	[ 'revoke new' => q{seats.revoke_seat(:'new')} ],
	[ 'revoke other' => q{seats.revoke_seat(:'other')} ],
	[ many => q{seats.assign_seats(:'s', emails => '{many1@x,Gone@x,pend@x}', metadata => '{"b": true}')} ],
	[ more => q{seats.assign_seats(:'s', emails => '{more1@x,more2@x}')} ],
	[ full => q{seats.assign_seat(:'s', email => 'full@x')} ],
	[ pause => q{UPDATE seats.subscriptions SET status = 'paused' WHERE id = :'s'} ],
	[ 'resend suspended' => q{seats.resend_invitation(:'exp1')} ],
	[ resume => q{UPDATE seats.subscriptions SET status = 'active' WHERE id = :'s'} ],
	[ expire => q{UPDATE seats.customer_seats SET invitation_token_expires_at = now() - interval '1 day' WHERE id IN (:'exp1', :'exp2')} ],
	[ release => q{seats.release_expired_seats()} ],
	[ lower => q{UPDATE seats.subscriptions SET seats = 3 WHERE id = :'s'} ],
	[ 'lower less' => q{UPDATE seats.subscriptions SET seats = 12 WHERE id = :'s'} ],
	[ address => q{UPDATE seats.customers SET email = 'changed@x' WHERE id = :'known_id'} ],
	[ 'one statement' => q{seats.assign_seats(:'c', emails => '{one@x}')} ],
	[ cancel => q{UPDATE seats.subscriptions SET status = 'canceled' WHERE id = :'c'} ],
	[ 'assign canceled' => q{seats.assign_seat(:'c', email => 'late@x')} ],
	[ 'revoke all' => q{seats.revoke_seats(:'s')} ],
	[ order => q{seats.assign_seat(order_id => :'r', email => 'order@x', metadata => '{"c": [1, 2]}')} ],
	[ 'order, many' => q{seats.assign_seats(order_id => :'r', emails => '{order1@x,order2@x}')} ],
	[ 'order, resend' => q{seats.resend_invitation(:'bought1')} ],
	[ 'order, revoke' => q{seats.revoke_seat(:'bought2')} ],
	[ 'order, reuse' => q{seats.assign_seat(order_id => :'r', email => 'order3@x')} ],
	[ 'order, refund' => q{UPDATE seats.orders SET status = 'refunded' WHERE id = :'r'} ],
	# In one transaction.
	[ begin => 'BEGIN' ],
	[ 'own, assign' => q{seats.assign_seat(:'s', email => 'own@x')}, as => '(r.seat).id AS own' ],
	[ 'own, resend' => q{seats.resend_invitation(:'own')}, as => 'r.invitation_token AS own_token' ],
	[ 'own, claim' => q{seats.claim_seat(:'own_token')} ],
	[ 'own, revoke' => q{seats.revoke_seat(:'own')} ],
	[ 'own, reuse' => q{seats.assign_seats(:'s', emails => '{own@x}')} ],
	[ savepoint => 'SAVEPOINT a' ],
	[ 'own, undone' => q{seats.assign_seat(:'s', email => 'undone@x')} ],
	[ rollback => 'ROLLBACK TO a' ],
	[ 'own, done' => q{seats.assign_seat(:'s', email => 'undone@x')}, as => '(r.seat).id AS own' ],
	[ release_savepoint => 'RELEASE a' ],
	[ 'own, revoke done' => q{seats.revoke_seat(:'own')} ],
	[ 'own, pause' => q{UPDATE seats.subscriptions SET status = 'unpaid' WHERE id = :'s'} ],
	[ 'own, resume' => q{UPDATE seats.subscriptions SET status = 'past_due' WHERE id = :'s'} ],
	[ commit => 'COMMIT' ],
	[ wish => q{INSERT INTO public.wishes VALUES (:'s', 'wish@x'), (:'s', 'wish1@x')} ],
	[ undo => q{UPDATE public.wishes SET subscription_id = NULL} ]);

# What runs through the executor in any case: rows that the same transaction has written.
my %usual;

# Returns a call, or another statement, for psql; tells its name, its SQLSTATE and what it returned.
sub call
{
	my ($name, $call, %options) = @_;
	my $statement = "$call;";
	my $answer = '';

	if ($options{as})
	{
		$statement = "SELECT to_json(r) AS answer, $options{as} FROM $call AS r \\gset";
		$answer = ":answer\n\\unset answer";
	}
	elsif ($call =~ /^seats\./)
	{
		$statement = "SELECT to_json(r) FROM $call AS r;";
	}
	return "\\warn == $name\n$statement\n\\echo == $name :SQLSTATE $answer\n";
}

# Replaces what differs from run to run by numbers in the order of appearance, so that equal values
# stay equal.
sub normalized
{
	my ($text) = @_;
	my %number;

	# Which of several rows fails first is left open.
	$text =~ s/^(.*DETAIL:  Failing row contains) \(.*/$1/mg;
	$text =~ s{
		(?<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})
		| (?<time>\d{4}-\d\d-\d\d[T\ ]\d\d:\d\d:\d\d(?:\.\d+)?\+00(?::00)?)
		| (?<hash>\\\\?x[0-9a-f]{8,}(?:\.\.\.)?)
		| (?<token>seats_(?:inv|cst)_\w+|eyJ[\w.-]+)
	}{
		my ($kind, $value) = each %+;
		keys %+;
		$value =~ s/T/ /, $value =~ s/\+00.*// if $kind eq 'time';
		$number{$kind}{$value} //= 1 + keys %{ $number{$kind} };
		"<$kind $number{$kind}{$value}>";
	}gex;
	return $text;
}

# Returns lines for psql that set variables to what a story is about.
sub fixtures
{
	my ($mode) = @_;

	return $owner{$mode}->query_safe("SELECT format(E'\\\\set %s %s', name, value) FROM fixture WHERE story = $story ORDER BY name") . "\n";
}

# Tells the story in one database; returns what it gave, as lines, and which statements of the extension's own
# the executor ran, by the calls' names.
sub tell_story
{
	my ($mode, %case) = @_;
	my $session = $caller{$mode};
	my $output = $session->query(
		join '',
		fixtures($mode),
		(map { "\\unset $_\n" } qw(answer new other large large_token own own_token)),
		($case{session} // '') . "\n",
		(map { call(@$_) } @calls),
		"\\warn == end\n",
		$case{reset} // '');
	my $errors = $session->{stderr};
	my (%path, @messages);

	$session->{stderr} = '';
	$errors =~ s/^LINE .*\n//mg;
	foreach my $part (split /^== /m, $errors)
	{
		my ($name, $rest) = $part =~ /^([^\n]*)\n(.*)/s or next;
		my %ran;

		$ran{$_}++ foreach map { keys %$_ } matches($rest);
		$path{$name} = join ' ', sort keys %ran if %ran;
		push @messages, "$name: $_" foreach grep { !/ duration: / }
		  $rest =~ /^(?:psql\S* )?((?:ERROR|WARNING|NOTICE|DETAIL|HINT): .*)/mg;
	}
	return (join("\n", $output, @messages, rows($mode)), \%path);
}

# Returns the named groups of all matches of our statements.
sub matches
{
	my ($text) = @_;
	my @matches;

	push @matches, {%+} while $text =~ /$statements/g;
	return @matches;
}

# Returns the rows of the story in all tables.
sub rows
{
	my ($mode) = @_;

	return $owner{$mode}->query_safe("SELECT * FROM rows_of($story)");
}

# Tells the story after an alteration of both databases, and undoes the alteration.  "path" is what goes through
# the executor beyond the usual, in any call; "shows" is what must be in what the story gave, and "fails" an error
# by which calls fail.
sub compare
{
	my (%case) = @_;
	my $name = $case{name};
	my (%told, %path, %beyond);

	die 'there are too few stories' if ++$story > $stories;
	foreach my $mode (@modes)
	{
		$owner{$mode}->query_safe('TRUNCATE log, wishes, start; INSERT INTO start SELECT max(id) FROM seats.events');
		$owner{$mode}->query_safe($case{alter} =~ s/ORG/organization()/egr) if $case{alter};
		($told{$mode}, $path{$mode}) = tell_story($mode, %case);
		$owner{$mode}->query_safe($case{undo}) if $case{undo};
	}
	foreach my $call (keys %{ $path{on} })
	{
		my %usual = map { $_ => 1 } split / /, $usual{$call} // '';
		push @{ $beyond{$_} }, $call foreach grep { !$usual{$_} } split / /, $path{on}{$call};
	}
	# A statement that fails is not told.
	my $expected = join ' ', sort grep { !$case{fails} || $beyond{$_} } split / /, $case{path} // '';
	my $right = $case{any_path} || is(join(' ', sort keys %beyond), $expected, "$name: through the executor");
	diag(join "\n", map { "$_: " . join ', ', sort @{ $beyond{$_} } } sort keys %beyond) if !$right;
	my ($on, $off) = map { normalized($told{$_}) } @modes;
	note $off if $ENV{SHOW};
	ok($on eq $off, "$name: the same outcome") or diag(difference($on, $off));
	my $shows = $case{shows} // $case{fails};
	like($off, $shows, "$name: which is what it should be") if $shows;
	return $path{on};
}

# Returns the id of the story's organization, as a literal.
sub organization
{
	return sprintf "'%08d-0000-0000-0000-000000000001'", $story;
}

# Runs statements in both databases.
sub query_both
{
	my ($sql) = @_;

	$owner{$_}->query_safe($sql) foreach @modes;
}

# Returns the first lines that differ.
sub difference
{
	my @on  = split /\n/, $_[0];
	my @off = split /\n/, $_[1];
	my @lines;

	foreach my $i (0 .. (@on > @off ? $#on : $#off))
	{
		next if ($on[$i] // '') eq ($off[$i] // '');
		push @lines, 'on:  ' . ($on[$i] // ''), 'off: ' . ($off[$i] // '');
		last if @lines >= 8;
	}
	return join "\n", map { substr $_, 0, 700 } @lines;
}

query('CREATE DATABASE "on"');
in_database('on');
query(q{
	SET client_min_messages = warning;
	CREATE EXTENSION seats CASCADE;
	CREATE EXTENSION amcheck;
	CREATE TABLE log (entry text);
	CREATE TABLE start (last_event bigint);
	CREATE TABLE fixture (story integer, name text, value text, PRIMARY KEY (story, name));
	CREATE TABLE wishes (subscription_id uuid, email text, seat_id uuid);

	CREATE FUNCTION id(story integer, number integer) RETURNS uuid STRICT LANGUAGE sql AS $$
		SELECT format('%s-0000-0000-0000-%s', lpad(story::text, 8, '0'), lpad(number::text, 12, '0'))::uuid $$;

	-- What a story is about: a subscription and an order to work with, one that is paused, and one to cancel.
	CREATE FUNCTION prepare(story integer) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		o uuid := id(story, 1);
	BEGIN
		INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled) VALUES (o, 'Acme', 'acme' || story, true);
		INSERT INTO seats.products (id, organization_id, name) VALUES (o, o, 'Editor');
		INSERT INTO seats.customers (id, organization_id, email, external_id)
			VALUES (o, o, 'payer@x', NULL), (id(story, 11), o, 'Known@x', NULL), (id(story, 12), o, 'byid@x', NULL),
				(id(story, 13), o, 'external@x', 'ext');
		INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
			SELECT id(story, n), o, o, o, 14, 'active' FROM generate_series(1, 3) AS n;
		INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
			VALUES (id(story, 4), o, o, o, 6, 'paid');
		INSERT INTO fixture VALUES (story, 'o', o), (story, 's', o), (story, 'c', id(story, 3)), (story, 'r', id(story, 4)),
			(story, 'known_id', id(story, 12));
		INSERT INTO fixture SELECT story, n.key, n.value
			FROM (VALUES (1, NULL, '{gone@x,pend@x,claim@x,todo@x,exp1@x,exp2@x}'::text[]), (2, NULL, '{idle1@x,idle2@x}'),
				(3, NULL, '{end1@x,end2@x,end3@x}'), (NULL, 4, '{bought1@x,bought2@x}')) AS p (subscription, purchase, emails),
			LATERAL seats.assign_seats(id(story, subscription), id(story, purchase), emails) AS a,
			LATERAL (VALUES (split_part((a.seat).customer_email, '@', 1), (a.seat).id::text),
				(split_part((a.seat).customer_email, '@', 1) || '_token', a.invitation_token)) AS n (key, value);
		PERFORM seats.claim_seat(value) FROM fixture AS f
			WHERE f.story = prepare.story AND name IN ('claim_token', 'idle1_token', 'end1_token', 'bought2_token');
		PERFORM seats.open_session(value::uuid) FROM fixture AS f WHERE f.story = prepare.story AND name IN ('claim', 'end1');
		PERFORM seats.revoke_seat(value::uuid) FROM fixture AS f WHERE f.story = prepare.story AND name IN ('gone', 'end3');
		UPDATE seats.subscriptions SET status = 'paused' WHERE id = id(story, 2);
	END $$;

	-- The rows of a story in all tables, and what was logged.
	CREATE FUNCTION rows_of(story integer) RETURNS SETOF text LANGUAGE sql AS $$
		WITH holder AS MATERIALIZED (
			SELECT id, coalesce(lower(email), external_id) AS name FROM seats.customers WHERE organization_id = id(story, 1)),
		seat AS MATERIALIZED (
			SELECT t AS row, t.* FROM seats.customer_seats AS t WHERE subscription_id IN (id(story, 1), id(story, 2), id(story, 3))
			UNION ALL SELECT t, t.* FROM seats.customer_seats AS t WHERE order_id = id(story, 4))
		SELECT row FROM (
			SELECT 1 AS place, occurred_at AS at, type || h.name AS name, (to_jsonb(t) - 'id')::text AS row
				FROM seats.events AS t LEFT JOIN holder AS h ON h.id = t.customer_id
				WHERE t.id > (SELECT last_event FROM start) AND organization_id = id(story, 1)
			-- Which of several revoked rows is used again is left open.
			UNION ALL SELECT 2, CASE WHEN status <> 'revoked' THEN created_at END, h.name, (to_jsonb(t.row) - CASE status WHEN 'revoked'
					THEN '{id,note,created_at,modified_at,claimed_at,revoked_at,invitation_token_hash,invitation_token_expires_at,claim_key_hash}'::text[]
					ELSE '{}' END)::text
				FROM seat AS t LEFT JOIN holder AS h ON h.id = t.customer_id
			UNION ALL SELECT 3, created_at, NULL, to_jsonb(t)::text FROM seats.customer_sessions AS t WHERE organization_id = id(story, 1)
			UNION ALL SELECT 4, NULL, h.name, to_jsonb(t)::text
				FROM seats.customers AS t JOIN holder AS h USING (id) WHERE organization_id = id(story, 1)
			UNION ALL SELECT 5, NULL, id::text, to_jsonb(t)::text FROM seats.subscriptions AS t
				WHERE id IN (id(story, 1), id(story, 2), id(story, 3))
			UNION ALL SELECT 6, NULL, NULL, to_jsonb(t)::text FROM seats.orders AS t WHERE id = id(story, 4)
			UNION ALL SELECT 7, NULL, NULL, to_jsonb(t)::text FROM seats.organizations AS t WHERE id = id(story, 1)
			UNION ALL SELECT 8, NULL, entry, entry FROM log) AS rows
		ORDER BY place, at, name COLLATE "C", row COLLATE "C" $$;

	-- A table of the owner's own, whose triggers call us.
	CREATE FUNCTION wish() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF TG_OP = 'INSERT' THEN
			NEW.seat_id := ((seats.assign_seat(NEW.subscription_id, email => NEW.email)).seat).id;
			PERFORM seats.resend_invitation(NEW.seat_id);
		ELSE
			PERFORM seats.revoke_seat(NEW.seat_id);
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER wish BEFORE INSERT OR UPDATE ON wishes FOR EACH ROW EXECUTE FUNCTION wish();

	CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.log VALUES (concat_ws(' ', TG_TABLE_NAME, TG_NAME, TG_WHEN, TG_LEVEL, TG_OP, CASE TG_LEVEL WHEN 'ROW' THEN (
			SELECT string_agg(value, ' ' ORDER BY key) FROM jsonb_each_text(to_jsonb(NEW))
			WHERE key IN ('status', 'customer_email', 'email', 'assigned_seats', 'seats', 'type', 'of_claim')) END));
		RETURN NEW;
	END $$;
	CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.log SELECT concat_ws(' ', TG_NAME, count(*)) FROM new_rows AS n;
		RETURN NULL;
	END $$;
	CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		CASE TG_TABLE_NAME
			WHEN 'customer_seats' THEN NEW.seat_metadata := '{"changed": "by trigger"}';
			WHEN 'customer_sessions' THEN NEW.expires_at := NEW.expires_at + interval '1 year';
			WHEN 'customers' THEN NEW.name := 'by trigger';
			WHEN 'subscriptions', 'orders' THEN NEW.seats := NEW.seats + 1;
			ELSE NEW.metadata := '{"changed": "by trigger"}';
		END CASE;
		RETURN NEW;
	END $$;
	CREATE FUNCTION suppressed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
	CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused by %', TG_NAME; END$$;
	CREATE FUNCTION is_fine(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
	CREATE FUNCTION shortened(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN left($1, 3); END';
	CREATE FUNCTION own_id() RETURNS uuid LANGUAGE sql VOLATILE AS 'SELECT gen_random_uuid()';
	CREATE FUNCTION own_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()';
	CREATE SEQUENCE own_sequence;
});
query("SELECT prepare(n) FROM generate_series(1, $stories) AS n; ANALYZE");
in_database('postgres');
query('CREATE DATABASE "off" TEMPLATE "on"');
$owner{$_} = connect_to($_) foreach @modes;
connect_callers();

# First of all: what goes through the executor where nothing is altered.  Of a row that the same transaction has
# written it depends on which row it is.
%usual = (map { $_ => 'update' } 'address', grep { /^own,/ } map { $_->[0] } @calls);
my $usual = compare(name => 'nothing altered yet', path => 'count update');
%usual = %$usual;
$usual{$_} = 'count update' foreach grep { /^own,/ } map { $_->[0] } @calls;
is(join(', ', map { "$_: $usual{$_}" } grep { !/^own,/ } sort keys %usual),
	'address: update, cancel: count, order, refund: count, undo: count, wish: count update', 'what goes through the executor where nothing is altered');
# Where several seats cannot be written in the same way, they are counted twice.
$usual{$_} = 'count' foreach 'many', 'more', 'too few', 'order, many';
compare(name => 'nothing altered');

# Makes a case of a trigger, which is dropped to undo it.
sub trigger_case
{
	my ($table, $event, $rest, $function, $path, %case) = @_;
	my $kind = $rest =~ /^DEFERRABLE/ ? 'CONSTRAINT TRIGGER' : 'TRIGGER';

	return {
		name => "$function() $event on $table $rest" . ($case{more} // ''),
		alter => "CREATE $kind mine $event ON seats.$table $rest EXECUTE FUNCTION $function();" . ($case{more} // ''),
		undo => "DROP TRIGGER mine ON seats.$table",
		path => $path,
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

# Makes cases of constraints of one table that are added and dropped.
sub constraint_cases
{
	my ($table, $path, @cases) = @_;

	return table_cases($table, $path,
		map { my ($rule, %case) = ref ? @$_ : $_; [ "ADD CONSTRAINT mine $rule", 'DROP CONSTRAINT mine', %case ] } @cases);
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

# Makes cases of other settings of the caller's session.
sub session_cases
{
	my (@cases) = @_;

	return map {
		my ($setting, $value, $path, %case) = @$_;
		{ name => "$setting = $value", session => "SET $setting = $value;", reset => "RESET $setting;", path => $path, %case }
	} @cases;
}

my $for_row = 'FOR EACH ROW';
my $for_statement = 'FOR EACH STATEMENT';
my $deferred = "DEFERRABLE INITIALLY DEFERRED $for_row";
my $refused = qr/refused by mine/;
my $prevented = qr/ERROR:  09000/;
my $violated = qr/ERROR:  23514: .*"mine"/;
my $all_writes = 'count customer event insert session update';

note 'Triggers and rules';
foreach (
	[ 'customer_seats', 'INSERT', 'insert', q(NEW.status = 'pending') ],
	[ 'customer_seats', 'UPDATE', 'update', q(OLD.status = 'pending') ],
	[ 'subscriptions', 'UPDATE', 'count', 'OLD.seats = NEW.seats' ],
	[ 'orders', 'UPDATE', 'count', 'OLD.seats = NEW.seats' ],
	[ 'customers', 'INSERT', 'customer', q(NEW.email <> 'new@x') ],
	[ 'events', 'INSERT', 'event', q(NEW.type <> 'customer_seat.claimed') ],
	[ 'customer_sessions', 'INSERT', 'session', 'NEW.of_claim' ])
{
	my ($table, $event, $path, $when) = @$_;
	# A rule is one for all events.
	my $rules = $table eq 'customer_seats' ? 'insert update' : $path;

	# Claims with the last two are what 013 is about.
	compare(%$_)
	  foreach grep { $table !~ /^(orders|events|customer_sessions)$/ || $_->{name} !~ /BEFORE.*STATEMENT|WHEN|logged.*DEFER|REPLICA|ALWAYS|another/ } (
		(map { trigger_case($table, "BEFORE $event", $for_row, $_, $path) } qw(logged changed suppressed)),
		trigger_case($table, "BEFORE $event", $for_row, 'refused', $path, fails => $refused),
		trigger_case($table, "AFTER $event", $for_row, 'logged', $path, shows => qr/AFTER ROW $event/),
		trigger_case($table, "BEFORE $event", $for_statement, 'logged', $path, shows => qr/BEFORE STATEMENT $event/),
		trigger_case($table, "AFTER $event", $for_statement, 'logged', $path, shows => qr/AFTER STATEMENT $event/),
		trigger_case($table, "AFTER $event", "REFERENCING NEW TABLE AS new_rows $for_statement", 'counted', $path),
		trigger_case($table, "AFTER $event", "$for_row WHEN ($when)", 'logged', $path),
		trigger_case($table, "AFTER $event", $deferred, 'logged', $path),
		trigger_case($table, "AFTER $event", $deferred, 'refused', $path eq 'update' ? 'insert update' : $path, fails => $refused),
		trigger_case($table, "AFTER $event", $for_row, 'logged', $path, more => "ALTER TABLE seats.$table DISABLE TRIGGER mine"),
		trigger_case($table, "AFTER $event", $for_row, 'logged', $path, more => "ALTER TABLE seats.$table ENABLE REPLICA TRIGGER mine"),
		(   map {
				trigger_case(
					$table, "AFTER $event", $for_row, 'logged', $path,
					more => "ALTER TABLE seats.$table ENABLE $_ TRIGGER mine",
					path => join(' ', grep { $_ ne 'count' } sort keys %{ { map { $_ => 1 } split(/ /, $path), qw(customer insert update) } }),
					name => "$table: a trigger of $_, in a replica",
					session => 'SET session_replication_role = replica;',
					reset => 'RESET session_replication_role;')
			} qw(REPLICA ALWAYS)),
		trigger_case($table, 'AFTER DELETE', $for_row, 'logged', ''),
		{
			name => "a rule on $table that does more",
			$table eq 'customers' ? (fails => qr/ERROR:  0A000/) : (),
			alter => "CREATE RULE mine AS ON $event TO seats.$table DO ALSO INSERT INTO public.log VALUES ('$table')",
			undo => "DROP RULE mine ON seats.$table",
			path => $rules
		},
		{
			name => "a rule on $table for another statement",
			alter => "CREATE RULE mine AS ON DELETE TO seats.$table DO ALSO INSERT INTO public.log VALUES ('$table')",
			undo => "DROP RULE mine ON seats.$table",
			path => $rules
		});
}
compare(%$_)
  foreach (
	trigger_case('customer_seats', 'AFTER UPDATE OF status', $for_row, 'logged', 'update'),
	trigger_case('customer_seats', 'AFTER UPDATE OF order_id', $for_row, 'logged', 'update'),
	trigger_case('customer_seats', 'AFTER INSERT OR UPDATE OR DELETE', $for_row, 'logged', 'insert update'),
	trigger_case('subscriptions', 'AFTER UPDATE OF status', $for_row, 'logged', 'count'),
	trigger_case('subscriptions', 'AFTER INSERT', $for_row, 'logged', ''),
	trigger_case('customers', 'AFTER UPDATE', $for_row, 'logged', ''),
	trigger_case('organizations', 'AFTER UPDATE', $for_row, 'logged', ''),
	trigger_case('customer_sessions', 'BEFORE DELETE', $for_row, 'suppressed', ''),
	trigger_case('customer_sessions', 'AFTER DELETE', $for_statement, 'logged', ''));

note q(The extension's own triggers);
foreach (
	[ 'customer_seats', 'seats_inserted', 'insert update' ],
	[ 'customer_seats', 'seats_updated', 'insert update' ],
	[ 'customer_seats', 'seats_deleted', '' ],
	[ 'customer_seats', 'ALL', 'insert update' ],
	[ 'subscriptions', 'keep_purchase', 'count' ],
	[ 'subscriptions', 'check_purchase', 'count' ],
	[ 'subscriptions', 'end_purchase', 'count' ],
	[ 'subscriptions', 'check_deleted_purchase', '' ],
	[ 'subscriptions', 'ALL', 'count' ],
	[ 'orders', 'keep_purchase', 'count' ],
	[ 'orders', 'check_purchase', 'count' ],
	[ 'orders', 'end_purchase', 'count' ],
	[ 'customers', 'follow_address', '' ],
	[ 'customers', 'ALL', '' ])
{
	my ($table, $trigger, $path) = @$_;

	compare(%$_) foreach (table_cases($table, $path, [ "DISABLE TRIGGER $trigger", "ENABLE TRIGGER $trigger" ]));
	next if $trigger eq 'ALL';
	compare(%$_)
	  foreach (
		table_cases($table, $path, [ "ENABLE REPLICA TRIGGER $trigger", "ENABLE TRIGGER $trigger" ]),
		table_cases($table, '', [ "ENABLE ALWAYS TRIGGER $trigger", "ENABLE TRIGGER $trigger" ]),
		{
			name => "$table: $trigger dropped",
			alter => qq{
				CREATE TABLE original AS SELECT pg_get_triggerdef(oid) FROM pg_trigger
					WHERE tgname = '$trigger' AND tgrelid = 'seats.$table'::regclass;
				DROP TRIGGER $trigger ON seats.$table},
			undo => "TABLE original \\gexec\nDROP TABLE original",
			path => $path
		});
}
compare(%$_)
  foreach (
	{
		name => 'seats_updated with a condition',
		alter => q{
			DROP TRIGGER seats_updated ON seats.customer_seats;
			CREATE TRIGGER seats_updated AFTER UPDATE ON seats.customer_seats REFERENCING OLD TABLE AS o NEW TABLE AS n
				FOR EACH STATEMENT WHEN (pg_catalog.current_setting('seats.direct_access') = '') EXECUTE FUNCTION seats.seats_changed()},
		undo => q{
			DROP TRIGGER seats_updated ON seats.customer_seats;
			CREATE TRIGGER seats_updated AFTER UPDATE ON seats.customer_seats REFERENCING OLD TABLE AS old_seats NEW TABLE AS new_seats
				FOR EACH STATEMENT EXECUTE FUNCTION seats.seats_changed()},
		path => 'update'
	},
	{
		name => 'seats_inserted twice',
		alter => q{
			CREATE TRIGGER mine AFTER INSERT ON seats.customer_seats REFERENCING NEW TABLE AS n
				FOR EACH STATEMENT EXECUTE FUNCTION seats.seats_changed()},
		undo => 'DROP TRIGGER mine ON seats.customer_seats',
		path => 'count insert update'
	},
	{
		name => 'end_purchase twice',
		alter => q{
			CREATE TRIGGER mine AFTER UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION seats.end_purchase()},
		undo => 'DROP TRIGGER mine ON seats.subscriptions',
		path => 'count'
	},
	{
		name => 'keep_purchase with a condition',
		alter => q{
			DROP TRIGGER keep_purchase ON seats.subscriptions;
			CREATE TRIGGER keep_purchase BEFORE UPDATE ON seats.subscriptions FOR EACH ROW WHEN (OLD.seats <> NEW.seats)
				EXECUTE FUNCTION seats.keep_purchase()},
		undo => q{
			DROP TRIGGER keep_purchase ON seats.subscriptions;
			CREATE TRIGGER keep_purchase BEFORE INSERT OR UPDATE ON seats.subscriptions FOR EACH ROW EXECUTE FUNCTION seats.keep_purchase()},
		path => ''
	},
	(   map {
			{
				name => "the function $_ replaced",
				alter => qq{
					CREATE TABLE original AS SELECT pg_get_functiondef('seats.$_()'::regprocedure);
					CREATE OR REPLACE FUNCTION seats.$_() RETURNS trigger LANGUAGE plpgsql
					AS \$\$BEGIN INSERT INTO public.log VALUES ('replaced'); RETURN NEW; END\$\$},
				undo => "TABLE original \\gexec\nDROP TABLE original",
				path => $_ eq 'seats_changed' ? 'insert update' : 'count',
				shows => qr/^replaced/m
			}
		} qw(seats_changed keep_purchase end_purchase)),
	session_cases([ 'session_replication_role', 'replica', 'customer insert update' ], [ 'session_replication_role', 'local', '' ]));

note 'Foreign keys';
compare(%$_)
  foreach (
	{
		name => 'to the id of seats',
		alter => 'CREATE TABLE mine (id uuid REFERENCES seats.customer_seats ON UPDATE CASCADE ON DELETE CASCADE);'
		  . 'INSERT INTO mine SELECT id FROM seats.customer_seats',
		undo => 'DROP TABLE mine',
		path => 'update'
	},
	{
		name => 'to the hash of the token, without a cascade',
		alter => q{CREATE TABLE mine (hash bytea REFERENCES seats.customer_seats (invitation_token_hash));
			INSERT INTO mine SELECT invitation_token_hash FROM seats.customer_seats WHERE order_id IS NOT NULL AND status = 'pending'},
		undo => 'DROP TABLE mine',
		path => 'update',
		fails => qr/ERROR:  23503/
	},
	{
		name => 'to the hash of the token',
		alter => 'CREATE TABLE mine (hash bytea REFERENCES seats.customer_seats (invitation_token_hash) ON UPDATE CASCADE);'
		  . 'INSERT INTO mine SELECT invitation_token_hash FROM seats.customer_seats',
		undo => 'DROP TABLE mine',
		path => 'update'
	},
	{
		name => 'to a unique index of the owner',
		alter => 'CREATE UNIQUE INDEX mine_key ON seats.customer_seats (id, status);'
		  . 'CREATE TABLE mine (id uuid, status seats.seat_status, FOREIGN KEY (id, status) REFERENCES seats.customer_seats (id, status));'
		  . 'INSERT INTO mine SELECT id, status FROM seats.customer_seats',
		undo => 'DROP TABLE mine; DROP INDEX seats.mine_key',
		path => 'update',
		fails => qr/ERROR:  23503/
	},
	(   map {
			{
				name => "to $_",
				alter => "CREATE TABLE mine (id uuid REFERENCES seats.$_ ON UPDATE CASCADE); INSERT INTO mine SELECT id FROM seats.$_",
				undo => 'DROP TABLE mine'
			}
		} qw(subscriptions orders customers organizations)),
	{
		name => 'from the address of seats',
		alter => 'CREATE TABLE mine (email text PRIMARY KEY);'
		  . 'ALTER TABLE seats.customer_seats ADD CONSTRAINT mine FOREIGN KEY (customer_email) REFERENCES mine NOT VALID',
		undo => 'ALTER TABLE seats.customer_seats DROP CONSTRAINT mine; DROP TABLE mine',
		path => 'insert update',
		fails => qr/ERROR:  23503/
	},
	{
		name => 'from the address of seats, deferred',
		alter => 'CREATE TABLE mine (email text PRIMARY KEY); ALTER TABLE seats.customer_seats ADD CONSTRAINT mine '
		  . 'FOREIGN KEY (customer_email) REFERENCES mine DEFERRABLE INITIALLY DEFERRED NOT VALID',
		undo => 'ALTER TABLE seats.customer_seats DROP CONSTRAINT mine; DROP TABLE mine',
		path => 'insert update',
		fails => qr/ERROR:  23503/
	},
	{
		name => 'from the address of customers',
		alter => 'CREATE TABLE mine (email text PRIMARY KEY);'
		  . 'ALTER TABLE seats.customers ADD CONSTRAINT mine FOREIGN KEY (email) REFERENCES mine NOT VALID',
		undo => 'ALTER TABLE seats.customers DROP CONSTRAINT mine; DROP TABLE mine',
		path => 'customer',
		fails => qr/ERROR:  23503/
	},
	{
		name => 'from the count of purchases',
		alter => 'CREATE TABLE mine (count integer PRIMARY KEY); INSERT INTO mine VALUES (0), (5), (6), (7), (1);'
		  . 'ALTER TABLE seats.subscriptions ADD CONSTRAINT mine FOREIGN KEY (assigned_seats) REFERENCES mine NOT VALID',
		undo => 'ALTER TABLE seats.subscriptions DROP CONSTRAINT mine; DROP TABLE mine',
		path => 'count',
		fails => qr/ERROR:  23503/
	},
	{
		name => 'from sessions to seats',
		alter => 'ALTER TABLE seats.customer_sessions ADD CONSTRAINT mine FOREIGN KEY (seat_id) REFERENCES seats.customer_seats NOT VALID',
		undo => 'ALTER TABLE seats.customer_sessions DROP CONSTRAINT mine',
		path => 'session update'
	},
	constraint_cases('customer_seats', 'insert update', 'FOREIGN KEY (customer_id) REFERENCES seats.customers NOT VALID'),
	constraint_cases('customer_seats', 'insert', 'FOREIGN KEY (subscription_id) REFERENCES seats.subscriptions',
		'FOREIGN KEY (organization_id) REFERENCES seats.organizations'),
	constraint_cases('customer_seats', '', 'FOREIGN KEY (organization_id, customer_id) REFERENCES seats.customers (organization_id, id)'),
	constraint_cases('customer_seats', 'insert update',
		'FOREIGN KEY (organization_id, customer_id) REFERENCES seats.customers (organization_id, id) MATCH FULL NOT VALID'));

# The extension's own, which are made anew.
foreach (
	[ 'customer_seats', 'customer_seats_customer_fkey', '', 'insert update' ],
	[ 'customer_seats', 'customer_seats_subscription_fkey', '', 'insert' ],
	[ 'customer_seats', 'customer_seats_order_fkey', '', 'insert' ],
	[ 'customers', 'customers_organization_fkey', '', 'customer' ],
	[ 'subscriptions', 'subscriptions_customer_fkey', '', '' ])
{
	my ($table, $key, $path) = @$_;
	my $save = "CREATE TABLE original AS SELECT format('ALTER TABLE seats.$table ADD CONSTRAINT $key %s', pg_get_constraintdef(oid)) AS add "
	  . "FROM pg_constraint WHERE conname = '$key'; ALTER TABLE seats.$table DROP CONSTRAINT $key;";

	compare(
		name => "$key dropped",
		alter => $save,
		undo => "TABLE original \\gexec\nDROP TABLE original",
		path => $path);
	compare(
		name => "$key $_",
		alter => "$save\nSELECT add || ' $_' FROM original \\gexec",
		undo => "ALTER TABLE seats.$table DROP CONSTRAINT $key;\nTABLE original \\gexec\nDROP TABLE original",
		path => $path) foreach ('NOT VALID', 'DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED');
}

note 'Columns';
compare(%$_)
  foreach (
	table_cases('customers', '', [ q(ALTER created_at SET DEFAULT '2000-01-01'), 'ALTER created_at SET DEFAULT now()' ],
		[ 'ALTER created_at SET DEFAULT clock_timestamp()', 'ALTER created_at SET DEFAULT now()' ],
		[ q(ALTER name SET DEFAULT 'nobody'), 'ALTER name DROP DEFAULT' ],
		[ q(ALTER name SET DEFAULT lower('X' || 'Y')), 'ALTER name DROP DEFAULT' ],
		[ 'ALTER modified_at SET DEFAULT now()', 'ALTER modified_at DROP DEFAULT' ],
		[ q(ALTER name SET DEFAULT 'n' || nextval('public.own_sequence') * 0), 'ALTER name DROP DEFAULT' ],
		[ q(ALTER id SET DEFAULT '00000000-0000-0000-0000-00000000000a'), 'ALTER id SET DEFAULT gen_random_uuid()', fails => qr/ERROR:  23505/, path => 'customer' ],
		[ q(ALTER external_id SET DEFAULT 'same'), 'ALTER external_id DROP DEFAULT', fails => qr/ERROR:  23505/, path => 'customer' ]),
	table_cases('customers', 'customer', [ 'ALTER id SET DEFAULT public.own_id()', 'ALTER id SET DEFAULT gen_random_uuid()' ],
		[ 'ALTER name SET DEFAULT current_user', 'ALTER name DROP DEFAULT' ],
		[ 'ALTER created_at SET DEFAULT NULL', 'ALTER created_at SET DEFAULT now()', fails => qr/ERROR:  23502/ ],
		[ 'ALTER created_at SET DEFAULT public.own_time()', 'ALTER created_at SET DEFAULT now()' ],
		[ 'ALTER id DROP DEFAULT', 'ALTER id SET DEFAULT gen_random_uuid()', fails => qr/ERROR:  23502/ ],
		[ 'ALTER organization_id DROP NOT NULL', 'ALTER organization_id SET NOT NULL', path => '' ],
		[ 'ALTER created_at DROP NOT NULL', 'ALTER created_at SET NOT NULL', path => '' ]),
	table_cases('customer_seats', '', [ q(ALTER modified_at SET DEFAULT '2000-01-01'), 'ALTER modified_at DROP DEFAULT' ],
		[ 'ALTER created_at DROP DEFAULT', 'ALTER created_at SET DEFAULT clock_timestamp()' ],
		[ 'ALTER id SET DEFAULT gen_random_uuid()', 'ALTER id SET DEFAULT gen_random_uuid()' ],
		[ q(ALTER id SET DEFAULT '00000000-0000-0000-0000-00000000000a'), 'ALTER id SET DEFAULT gen_random_uuid()', fails => qr/ERROR:  23505/ ],
		[ q(ALTER status SET DEFAULT 'claimed'), 'ALTER status DROP DEFAULT' ],
		[ q(ALTER claim_key_hash SET DEFAULT '\x00'), 'ALTER claim_key_hash DROP DEFAULT' ],
		[ 'ALTER created_at DROP NOT NULL', 'ALTER created_at SET NOT NULL' ],
		[ 'ALTER status DROP NOT NULL', 'ALTER status SET NOT NULL' ],
		[ 'SET (fillfactor = 10)', 'SET (fillfactor = 80)' ],
		[ 'SET (toast_tuple_target = 128)', 'RESET (toast_tuple_target)' ],
		[ 'ALTER seat_metadata SET STORAGE EXTERNAL', 'ALTER seat_metadata SET STORAGE EXTENDED' ],
		[ 'SET (toast_tuple_target = 128), ALTER seat_metadata SET STORAGE EXTERNAL', 'RESET (toast_tuple_target), ALTER seat_metadata SET STORAGE EXTENDED' ],
		[ 'SET (toast_tuple_target = 128), ALTER seat_metadata SET STORAGE MAIN', 'RESET (toast_tuple_target), ALTER seat_metadata SET STORAGE EXTENDED' ]),
	table_cases('customer_seats', 'count', [ 'ALTER suspended_at SET DEFAULT now()', 'ALTER suspended_at DROP DEFAULT', fails => qr/ERROR:  23514/ ]),
	table_cases('customer_seats', 'insert', [ 'ALTER id SET DEFAULT public.own_id()', 'ALTER id SET DEFAULT gen_random_uuid()' ],
		[ 'ALTER modified_at SET DEFAULT public.own_time()', 'ALTER modified_at DROP DEFAULT' ],
		[ 'ALTER revoked_at SET DEFAULT now()', 'ALTER revoked_at DROP DEFAULT', fails => qr/ERROR:  23514/ ],
		[ 'ALTER id DROP DEFAULT', 'ALTER id SET DEFAULT gen_random_uuid()', fails => qr/ERROR:  23502/ ]),
	table_cases('events', '', [ 'ALTER metadata SET DEFAULT NULL', q(ALTER metadata SET DEFAULT '{}') ],
		[ 'SET (toast_tuple_target = 128), ALTER seat SET STORAGE EXTERNAL', 'RESET (toast_tuple_target), ALTER seat SET STORAGE EXTENDED' ]),
	table_cases('subscriptions', '', [ 'ALTER assigned_seats SET DEFAULT 5', 'ALTER assigned_seats SET DEFAULT 0' ],
		[ 'ALTER seats DROP NOT NULL', 'ALTER seats SET NOT NULL' ], [ 'ALTER modified_at SET DEFAULT now()', 'ALTER modified_at DROP DEFAULT' ]));

note 'Constraints';
compare(%$_)
  foreach (
	constraint_cases('customer_seats', '', 'CHECK (length(customer_email) < 300)', q(CHECK (tableoid <> 0)), 'CHECK (NULL::boolean)'),
	constraint_cases('customer_seats', 'insert', [ q(CHECK (status <> 'claimed' OR invitation_token_hash IS NOT NULL) NOT VALID), fails => $violated ],
		[ q(CHECK (customer_email <> 'other@x') NOT VALID), fails => $violated ]),
	constraint_cases('customer_seats', 'insert update', [ q(CHECK (status = 'revoked') NOT VALID), fails => $violated ],
		[ q(CHECK (invitation_token_expires_at < now()) NOT VALID), fails => $violated ],
		'CHECK (is_fine(status))'),
	constraint_cases('customer_seats', 'update', [ q(CHECK (status <> 'revoked') NOT VALID), fails => $violated ],
		[ q(CHECK (suspended_at IS NULL) NOT VALID), fails => $violated ], [ q(CHECK (modified_at IS NULL) NOT VALID), fails => $violated ]),
	constraint_cases('subscriptions', 'count', [ 'CHECK (assigned_seats < 7) NOT VALID', fails => $violated ], 'CHECK (is_fine(status))'),
	constraint_cases('subscriptions', '', 'CHECK (assigned_seats < 1000)'),
	constraint_cases('customers', 'customer', [ q(CHECK (email <> 'other@x') NOT VALID), fails => $violated ], 'CHECK (is_fine(email))',
		[ q(CHECK (name IS NOT NULL) NOT VALID), fails => $violated ]),
	constraint_cases('customers', '', 'CHECK (length(email) > 1)', q(CHECK (email <> 'x@y'))),
	constraint_cases('events', 'event', [ q(CHECK (type <> 'customer_seat.claimed') NOT VALID), fails => $violated ], 'CHECK (is_fine(type))'),
	constraint_cases('customers', '', 'UNIQUE (id, created_at)'),
	constraint_cases('customers', 'customer', 'UNIQUE (id, created_at) DEFERRABLE'),
	constraint_cases('customer_seats', 'insert update', 'UNIQUE (id, created_at) DEFERRABLE INITIALLY DEFERRED'),
	constraint_cases('customer_seats', '', [ 'EXCLUDE (id WITH =)' ]),
	constraint_cases('customers', '', [ 'EXCLUDE (id WITH =)' ]),
	{
		name => 'a CHECK whose name comes first',
		alter => 'ALTER TABLE seats.customer_seats ADD CONSTRAINT a CHECK (customer_email IS NULL) NOT VALID,'
		  . 'ADD CONSTRAINT z CHECK (customer_id IS NULL) NOT VALID',
		undo => 'ALTER TABLE seats.customer_seats DROP CONSTRAINT a, DROP CONSTRAINT z',
		path => 'insert update',
		fails => qr/ERROR:  23514: .*"a"/
	},
	(   map {
			my ($table, $check, $path) = @$_;
			{
				name => "$check dropped",
				alter => "CREATE TABLE original AS SELECT format('ALTER TABLE seats.$table ADD CONSTRAINT $check %s', pg_get_constraintdef(oid)) AS add "
				  . "FROM pg_constraint WHERE conname = '$check'; ALTER TABLE seats.$table DROP CONSTRAINT $check;",
				undo => "TABLE original \\gexec\nDROP TABLE original",
				path => $path
			}
		} ([ 'customer_seats', 'customer_seats_status_check', '' ], [ 'customer_seats', 'customer_seats_purchase_check', '' ],
			[ 'customers', 'customers_email_check', '' ], [ 'subscriptions', 'subscriptions_seats_check', '' ])));

note 'Indexes';
compare(%$_)
  foreach (
	index_cases('customer_seats', '', '(status)', '(lower(customer_email))', q((modified_at) WHERE status = 'claimed'), '(shortened(customer_email))',
		'USING gin (seat_metadata)', 'USING brin (claimed_at, created_at)', 'USING hash (customer_id)', '(customer_id, status, suspended_at)',
		'(suspended_at) WHERE suspended_at IS NOT NULL',
		[ q(UNIQUE (organization_id) WHERE organization_id = ORG AND customer_email IN ('other@x', 'now@x')), fails => qr/ERROR:  23505/ ],
		[ q(UNIQUE ((1)) WHERE organization_id = ORG AND customer_email IN ('other@x', 'now@x')), fails => qr/ERROR:  23505/ ],
		[ q(UNIQUE ((1)) WHERE organization_id = ORG AND claim_key_hash IS NULL AND customer_email IN ('other@x', 'pend@x')), fails => qr/ERROR:  23505/ ]),
	index_cases('customer_seats', 'update', 'UNIQUE (id, status)', 'UNIQUE (customer_id, id)'),
	index_cases('subscriptions', '', '(assigned_seats)', '(seats) WHERE assigned_seats > 3', 'USING brin (assigned_seats)', '((assigned_seats + 1))',
		'UNIQUE (id) INCLUDE (assigned_seats)'),
	index_cases('subscriptions', 'count', 'UNIQUE (id, assigned_seats)'),
	index_cases('orders', '', '(assigned_seats)'),
	index_cases('customers', '', '(email)', 'USING hash (email)', '(shortened(email))', '(name) WHERE name IS NULL',
		'UNIQUE (id)', 'UNIQUE (organization_id, email)', q(UNIQUE (organization_id, lower(email COLLATE "C"), external_id))),
	index_cases('customers', 'customer', [ q(UNIQUE (organization_id) WHERE organization_id = ORG AND email IN ('other@x', 'now@x')), fails => qr/ERROR:  23505/ ],
		[ q(UNIQUE ((1)) WHERE organization_id = ORG AND email IN ('other@x', 'now@x')), fails => qr/ERROR:  23505/ ]),
	index_cases('events', '', 'UNIQUE (id, type)'),
	index_cases('events', 'event', 'USING gin (metadata)'),
	(   map {
			my ($index, $path, $replacement, %case) = @$_;
			{
				name => "$index " . ($replacement ? "replaced by $replacement" : 'dropped'),
				alter => "CREATE TABLE original AS SELECT pg_get_indexdef('seats.$index'::regclass); DROP INDEX seats.$index;"
				  . ($replacement ? "CREATE $replacement" : ''),
				undo => "DROP INDEX IF EXISTS seats.mine;\nTABLE original \\gexec\nDROP TABLE original",
				path => $path,
				%case
			}
		} ( [ 'customer_seats_customer_id_idx', '' ],
			[ 'customer_seats_expiry_idx', '' ],
			[ 'customer_seats_subscription_customer_key', 'insert update' ],
			[ 'customer_seats_order_customer_key', 'insert update' ],
			[ 'customer_seats_subscription_customer_key', 'insert update', 'INDEX mine ON seats.customer_seats (subscription_id, customer_id)' ],
			[ 'customer_seats_subscription_customer_key', 'insert update',
				'UNIQUE INDEX mine ON seats.customer_seats (subscription_id, customer_id) WHERE subscription_id IS NOT NULL AND customer_id IS NOT NULL' ],
			[ 'customer_seats_subscription_customer_key', 'update', 'UNIQUE INDEX mine ON seats.customer_seats (subscription_id DESC, customer_id DESC) INCLUDE (status)' ],
			[ 'customer_seats_subscription_customer_key', 'insert update', 'UNIQUE INDEX mine ON seats.customer_seats (customer_id, subscription_id)' ],
			[ 'customers_email_key', 'customer', '', fails => qr/ERROR:  42804/ ],
			[ 'customers_email_key', 'customer', 'UNIQUE INDEX mine ON seats.customers (organization_id, lower(email COLLATE "C")) WHERE email IS NOT NULL', fails => qr/ERROR:  42P10/ ],
			[ 'customers_email_key', 'customer', 'UNIQUE INDEX mine ON seats.customers (organization_id, lower(email COLLATE "POSIX"))', fails => qr/ERROR:  42P10/ ],
			[ 'customers_email_key', 'customer', 'UNIQUE INDEX mine ON seats.customers (lower(email COLLATE "C"), organization_id)' ],
			[ 'customers_email_key', '', 'UNIQUE INDEX mine ON seats.customers (organization_id DESC, lower(email COLLATE "C") DESC) INCLUDE (name)' ],
			[ 'customers_email_key', 'customer', 'UNIQUE INDEX mine ON seats.customers (organization_id, upper(email COLLATE "C"))', fails => qr/ERROR:  42P10/ ],
			[ 'customers_email_key', 'customer', 'INDEX mine ON seats.customers (organization_id, lower(email COLLATE "C"))', fails => qr/ERROR:  42804/ ])));

note 'Row-level security, owners, other kinds of tables';
my $forced = 'ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY';
my $unforced = 'DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY';
my %needs = (
	customer_seats => 'insert seat update',
	subscriptions => 'count purchase',
	orders => 'count purchase',
	customers => 'customer',
	organizations => 'organization customer',
	events => 'event',
	customer_sessions => 'session');
query_both(q{DO $$BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'other') THEN CREATE ROLE other; GRANT other TO CURRENT_USER; END IF;
	GRANT USAGE ON SCHEMA seats, public TO other;
	GRANT ALL ON ALL TABLES IN SCHEMA public TO other;
END$$});
foreach my $table (sort keys %needs)
{
	my $path = $needs{$table};

	compare(%$_)
	  foreach (
		table_cases($table, $path, [ $forced, $unforced ], [ 'OWNER TO other', 'OWNER TO CURRENT_USER' ]),
		table_cases($table, '', [ 'ENABLE ROW LEVEL SECURITY', 'DISABLE ROW LEVEL SECURITY' ], [ 'REPLICA IDENTITY FULL', 'REPLICA IDENTITY DEFAULT' ]),
		{
			name => "a child of $table",
			alter => "CREATE TABLE child () INHERITS (seats.$table)",
			undo => "DROP TABLE child; ANALYZE seats.$table",
			path => $path
		},
		{
			name => "a publication of $table without a replica identity",
			alter => "ALTER TABLE seats.$table REPLICA IDENTITY NOTHING; CREATE PUBLICATION mine FOR TABLE seats.$table",
			undo => "DROP PUBLICATION mine; ALTER TABLE seats.$table REPLICA IDENTITY DEFAULT",
			$table =~ /^(customer_seats|subscriptions|orders)$/ ? (fails => qr/ERROR:  55000/) : ()
		},
		{
			name => "a publication of some rows of $table",
			alter => "CREATE PUBLICATION mine FOR TABLE seats.$table WHERE (organization_id IS NOT NULL)" =~ s/organization_id/$table eq 'organizations' ? 'id' : 'organization_id'/er,
			undo => 'DROP PUBLICATION mine',
			$table =~ /^(customer_seats|subscriptions|orders)$/ ? (fails => qr/ERROR:  42P10/) : ()
		})
	  ;
}

note 'Modes of the session';
compare(%$_)
  foreach (
	session_cases(
		[ 'default_transaction_isolation', q('repeatable read'), "$all_writes purchase seat" ],
		[ 'default_transaction_isolation', 'serializable', "$all_writes purchase seat" ],
		[ 'default_transaction_read_only', 'on', '', fails => qr/ERROR:  25006/ ],
		[ 'row_security', 'off', '' ],
		[ 'search_path', 'public', '' ],
		[ 'seats.event_sink', 'none', '' ],
		[ 'transform_null_equals', 'on', '' ],
		[ 'seats.session_token_format', 'jwt', '' ]));

note 'An owner who is not a superuser';
# Gives all that the extension has to a role, or back.
sub owned_by
{
	my ($role) = @_;

	return qq{
		SELECT format('ALTER %s %s OWNER TO $role', CASE WHEN relkind = 'r' THEN 'TABLE' ELSE 'VIEW' END, oid::regclass)
		FROM pg_class WHERE relnamespace = 'seats'::regnamespace AND relkind IN ('r', 'v') \\gexec
		SELECT format('ALTER FUNCTION %s OWNER TO $role', oid::regprocedure)
		FROM pg_proc WHERE pronamespace = 'seats'::regnamespace \\gexec
	};
}

query_both(owned_by('other'));
compare(name => 'another owner');
foreach my $table (sort keys %needs)
{
	foreach my $right (qw(SELECT INSERT UPDATE DELETE))
	{
		compare(
			name => "without $right on $table",
			alter => "REVOKE $right ON seats.$table FROM other",
			undo => "GRANT $right ON seats.$table TO other",
			any_path => 1);
	}
	compare(
		name => "$table under forced row-level security",
		alter => "ALTER TABLE seats.$table $forced",
		undo => "ALTER TABLE seats.$table $unforced",
		any_path => 1);
	compare(
		name => "$table under forced row-level security, with a policy",
		alter => "ALTER TABLE seats.$table $forced; CREATE POLICY mine ON seats.$table USING (true) WITH CHECK (created_at < 'infinity')" =~
		  s/created_at/$table eq 'events' ? 'occurred_at' : 'created_at'/er,
		undo => "DROP POLICY mine ON seats.$table; ALTER TABLE seats.$table $unforced",
		any_path => 1);
}
query_both(owned_by('CURRENT_USER'));
compare(name => 'the owner again');

note 'Columns that are added, which leave traces for good';
my %traces;
foreach (
	[ 'organizations', '' ], [ 'customer_sessions', 'session' ], [ 'events', 'event' ], [ 'orders', 'count' ],
	[ 'subscriptions', 'count' ], [ 'customers', 'customer' ], [ 'customer_seats', 'insert update' ])
{
	my ($table, $path) = @$_;
	my $generated = ($table eq 'organizations' ? 'name' : 'organization_id') . ' IS NOT NULL';

	$traces{$_} = 1 foreach split / /, $path;
	compare(%$_)
	  foreach table_cases(
		$table,
		join(' ', keys %traces),
		[ 'ADD note text', 'DROP note' ],
		[ q(ADD note text DEFAULT 'x'), 'DROP note' ],
		[ 'ADD note uuid NOT NULL DEFAULT public.own_id()', 'DROP note' ],
		[ "ADD note boolean GENERATED ALWAYS AS ($generated) STORED", 'DROP note' ],
		$table eq 'customers' || $table eq 'subscriptions' ? [ 'ADD note bigint GENERATED ALWAYS AS IDENTITY', undef ] : ());
}

foreach my $mode (@modes)
{
	in_database($mode);
	is(check_storage(), '', "indexes agree with their tables where direct access is $mode");
}

done_testing();
