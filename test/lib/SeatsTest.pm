# What the TAP tests share: a server with the extension, an organization that sells seats, and
# the outcome of a statement as its value or its error.  All work on the server started last,
# in the database chosen last.
package SeatsTest;

use strict;
use warnings;

use Exporter 'import';
use Fcntl ':flock';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils ();
use Test::More;
use Time::HiRes 'sleep';

our @EXPORT = qw(ID start_node on_node in_database query outcome
  create_shop assign claim table_counts table_rows check_storage seat_updates wait_until_alone);

# The id of the organization, its product, its paying customer, and its subscription alike.
use constant ID => '00000000-0000-0000-0000-000000000001';

my $node;
my $database = 'postgres';
my $run      = \&PostgreSQL::Test::Utils::system_or_bail;

# Runs statements in a session of background_psql() as PostgreSQL's own query() of 15.20 does.  That of some minor
# releases of 16 does not wait for the errors, so the next call would get them.
sub query_in_session
{
	my ($session, $sql) = @_;
	my $separator = 'end of query ' . ++$session->{queries} . ':';
	my $ended = qr/$separator\r?\n/;

	note "statements in a session: $sql";
	$session->{timeout}->start;
	$session->{stdin} .= "$sql\n;\n\\echo '$separator'\n\\warn '$separator'\n";
	$session->{run}->pump
	  until $session->{stdout} =~ $ended && $session->{stderr} =~ $ended
	  || $session->{timeout}->is_expired;
	die "statements in a session took too long\n" if $session->{timeout}->is_expired;
	my $output = $session->{stdout} =~ s/\r?\n?$ended//r;
	$session->{stdout} = '';
	$session->{stderr} =~ s/\r?\n?$ended//;
	note "errors in a session: $session->{stderr}" if $session->{stderr} ne '';
	return wantarray ? ($output, $session->{stderr} eq '' ? 0 : 1) : $output;
}

my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
if (qx($pg_config --version) =~ /^PostgreSQL 16\./)
{
	require PostgreSQL::Test::BackgroundPsql;
	no warnings 'redefine';
	*PostgreSQL::Test::BackgroundPsql::query = \&query_in_session;
}

# Does what initdb would do with its arguments, of which one is the server's directory: the first test to come here
# calls it, and the others copy what it made, which takes less time.
sub copy_template
{
	my ($directory, @initdb) = @_;
	my $template = "$PostgreSQL::Test::Utils::tmp_check/template";

	open my $lock, '>', "$template.lock" or die "$template.lock: $!";
	flock $lock, LOCK_EX or die "$template.lock: $!";
	if (!-d $template)
	{
		$run->(map { $_ eq $directory ? "$template.new" : $_ } @initdb);
		rename "$template.new", $template or die "$template: $!";
	}
	close $lock;
	$run->('cp', '-RPp', $template, $directory);
}

# Starts a server with these lines added to its configuration, and with options of the cluster's
# init().  Its encoding and locale are not those of whoever runs it.  PostgreSQL refuses to run as
# root, as which somebody may have called make installcheck.
sub start_node
{
	my ($name, $configuration, %options) = @_;

	plan skip_all => 'servers do not run as root' if $> == 0;
	$node = PostgreSQL::Test::Cluster->new($name);
	{
		no warnings 'redefine';
		local *PostgreSQL::Test::Utils::system_or_bail =
		  sub { $_[0] eq 'initdb' ? copy_template($node->data_dir, @_) : $run->(@_) };

		$node->init(extra => [ '--encoding=UTF8', '--no-locale' ], %options);
	}
	# To compile statements that run once takes longer than to run them.
	$node->append_conf('postgresql.conf', "jit = off\n" . ($configuration // ''));
	$node->start;
	return $node;
}

# Chooses another server.
sub on_node
{
	($node) = @_;
}

# Chooses a database.
sub in_database
{
	($database) = @_;
}

# Runs statements that must succeed; returns what they gave.
sub query
{
	my ($sql) = @_;

	return $node->safe_psql($database, $sql);
}

# Runs statements and tells what they gave, and the error that ended them, if any: its
# SQLSTATE, and the DETAIL of one of the extension's own errors, else the MESSAGE.
sub outcome
{
	my ($sql, %options) = @_;
	my ($status, $output, $errors) =
	  $node->psql($database, "\\set VERBOSITY verbose\n$sql", %options);
	my ($sqlstate, $message) = $errors =~ /ERROR:  (\w{5}): (.*)/;
	my ($detail) = $errors =~ /DETAIL:  (.*)/;

	return $output if $status == 0;
	return join "\n", grep { $_ ne '' } $output,
	  $sqlstate . ' ' . ($sqlstate =~ /^PT/ ? $detail : $message);
}

# Creates the extension, and an organization with an active subscription.
sub create_shop
{
	my ($seats) = @_;
	my $id = ID;

	query(qq{
		SET client_min_messages = warning;
		CREATE EXTENSION IF NOT EXISTS seats CASCADE;
		INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
			VALUES ('$id', 'Acme', 'acme', true);
		INSERT INTO seats.products (id, organization_id, name)
			VALUES ('$id', '$id', 'Editor');
		INSERT INTO seats.customers (id, organization_id, name)
			VALUES ('$id', '$id', 'Payer');
		INSERT INTO seats.subscriptions
				(id, organization_id, product_id, customer_id, seats, status)
			VALUES ('$id', '$id', '$id', '$id', $seats, 'active');
	});
}

# Assigns a seat of the subscription; returns the invitation token.
sub assign
{
	my ($email) = @_;
	my $id = ID;

	return query("SELECT invitation_token FROM seats.assign_seat('$id', email => '$email')");
}

# Claims a seat; returns the session token.
sub claim
{
	my ($token) = @_;

	return query("SELECT customer_session_token FROM seats.claim_seat('$token')");
}

# Returns the names of the extension's tables in order.
sub tables
{
	return split /\n/,
	  query("SELECT tablename FROM pg_tables WHERE schemaname = 'seats' ORDER BY 1");
}

# Returns how many rows each table of the extension has: "table=count", in the order of names.
sub table_counts
{
	return join ' ', map { "$_=" . query("SELECT count(*) FROM seats.$_") } tables();
}

# Returns all rows of all tables of the extension, but those named.
sub table_rows
{
	my %without = map { $_ => 1 } @_;

	return query(join '',
		map { "SELECT '$_', t.* FROM seats.$_ AS t ORDER BY t::text;" }
		  grep { !$without{$_} } tables());
}

# Returns how many updates of seats some statements make, each in its own transaction, and how many of
# them are HOT. A session writes its statistics when it ends at the latest, so all others have to end
# first, except for this many.
sub seat_updates
{
	my ($others, @statements) = @_;

	$node->poll_query_until($database, qq{
		SELECT count(*) = $others FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()}) or die 'sessions do not end';
	my @lines = split /\n/, query(join ";\n",
		q{SELECT pg_stat_reset_single_table_counters('seats.customer_seats'::regclass)},
		@statements,
		'SELECT pg_stat_force_next_flush()',
		q{SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'seats.customer_seats'::regclass});

	return $lines[-1];
}

# Waits until the server has recovered from a crash and nobody else is connected. The query is no input
# of psql's, which may end before it has read any.
sub wait_until_alone
{
	my @psql = ('psql', '-XAt', $node->connstr('postgres'), '-c',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'");
	my $output = '';

	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		IPC::Run::run(\@psql, '>', \$output, '2>', \my $errors);
		return if $output eq "1\n";
		sleep 0.1;
	}
	die 'the server did not recover';
}

# Has amcheck, which the database must have, compare all indexes with their tables, and look at the
# tables themselves; returns what it finds.
sub check_storage
{
	return query(q{
		SELECT count(bt_index_check(c.oid, true)) FROM pg_class AS c
		WHERE relnamespace = 'seats'::regnamespace AND relkind = 'i' HAVING false;
		SELECT c.relname, v.* FROM pg_class AS c, verify_heapam(c.oid) AS v
		WHERE relnamespace = 'seats'::regnamespace AND relkind = 'r'});
}

1;
