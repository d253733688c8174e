# What the tests of shards share: a front and shards as examples/plproxy has them, with organizations spread
# over them, and calls through the front and past it.
package SeatsShards;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Cluster;
use SeatsTest;
use Test::More;

our @EXPORT =
  qw(EXAMPLE children password create_roles make_shard make_front start_shard start_shards on_front on_shard
  organization shard_of fill_shard spread call_front call_shard);

use constant EXAMPLE => "$FindBin::RealBin/../../examples/plproxy";

my ($front, @shards);

# Returns the processes that a process has started.
sub children
{
	my ($parent) = @_;
	my @children;

	foreach my $file (glob '/proc/[0-9]*/stat')
	{
		# A process may end meanwhile.  Its name may have any characters.
		open my $stat, '<', $file or next;
		my ($pid, $of) = (<$stat> // '') =~ /^(\d+) \(.*\) \S (\d+)/s or next;
		push @children, $pid if $of == $parent;
	}
	return @children;
}

# Fronts log in at shards by password, each role by its own.
sub password
{
	my ($role) = @_;

	return "$role-password";
}

# Runs a file of the example in the chosen server's database, as its comment says.
sub run_example
{
	my ($node, $database, $file, %variables) = @_;

	$node->command_ok(
		[
			'psql', '-XAtq', map({ ('-v', "$_=$variables{$_}") } sort keys %variables),
			'-f',
			EXAMPLE . "/$file",
			$node->connstr($database)
		],
		"$file for $database of " . $node->name
	);
}

# Makes the roles that fronts log in as, by password.
sub create_roles
{
	my ($node) = @_;

	query(join '',
		map { "CREATE ROLE $_ LOGIN PASSWORD '" . password($_) . "';" } qw(anonymous backend customer));
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf',
		"local all anonymous,backend,customer scram-sha-256\nlocal all,replication all trust");
	$node->reload;
}

# Makes a database that is chosen a shard: of so many the one of this number.
sub make_shard
{
	my ($node, $database, $count, $number) = @_;

	query('SET client_min_messages = warning; CREATE EXTENSION seats CASCADE');
	run_example($node, $database, 'shard.sql', shards => $count, shard => $number);
	query(q{SELECT seats_shard.grant_access('anonymous', 'backend', 'customer')});
}

# Makes a database that is chosen the front of shards with these connection strings.  Calls may take long where the
# machine is busy.
sub make_front
{
	my ($node, $database, @connections) = @_;
	my $options = join ', ', "disable_binary '1'", "connection_lifetime '1800'", "query_timeout '60'",
	  map { "p$_ '" . ($connections[$_] =~ s/'/''/gr) . q{'} } 0 .. $#connections;

	run_example($node, $database, 'front.sql');
	query("CREATE SERVER seats FOREIGN DATA WRAPPER plproxy OPTIONS ($options)");
	query("CREATE USER MAPPING FOR $_ SERVER seats OPTIONS (user '$_', password '" . password($_) . "')")
	  foreach qw(anonymous backend customer);
	query(q{SELECT seats.grant_access('anonymous', 'backend', 'customer')});
}

# Starts a server for a shard.
sub start_shard
{
	my ($name, $count, $number, $configuration, %options) = @_;
	my $node = start_node($name, "max_connections = 60\n" . ($configuration // ''), %options);

	create_roles($node);
	make_shard($node, 'postgres', $count, $number);
	return $node;
}

# Starts a front and so many shards.
sub start_shards
{
	my ($count, $configuration, %options) = @_;

	@shards = map { start_shard("shard$_", $count, $_, $configuration, %options) } 0 .. $count - 1;
	$front  = start_node('front', 'max_connections = 60');
	query("CREATE ROLE $_ LOGIN") foreach qw(anonymous backend customer);
	make_front($front, 'postgres', map { $_->connstr('postgres') } @shards);
	return ($front, @shards);
}

# The following works on the front, or on a shard.
sub on_front
{
	on_node($front);
}

sub on_shard
{
	my ($number) = @_;

	on_node($shards[$number]);
}

# The id of the organization of a number, and of its product, payer, subscription and order alike.
sub organization
{
	my ($number) = @_;

	on_front();
	return query("SELECT md5('organization $number')::uuid");
}

# The number of the shard that has an organization.
sub shard_of
{
	my ($id) = @_;

	on_front();
	return query("SELECT seats.organization_route('$id') & " . (@shards - 1));
}

# Makes those of so many organizations that belong to the chosen database, each with a subscription and an order of so
# many seats.
sub fill_shard
{
	my ($count, $seats) = @_;

	query(
		qq{
		CREATE TEMP TABLE own AS
		SELECT n, id FROM generate_series(1, $count) AS n, LATERAL (SELECT md5('organization ' || n)::uuid) AS o (id), seats_shard.slice
		WHERE seats.organization_route(id) & (shards - 1) = shard;
		INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
			SELECT id, 'Organization ' || n, 'o' || n, true FROM own;
		INSERT INTO seats.products (id, organization_id, name) SELECT id, id, 'Editor' FROM own;
		INSERT INTO seats.customers (id, organization_id, name) SELECT id, id, 'Payer' FROM own;
		INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
			SELECT id, id, id, id, $seats, 'active' FROM own;
		INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
			SELECT id, id, id, id, $seats, 'paid' FROM own}
	);
}

# Spreads so many organizations over the shards.
sub spread
{
	my ($count, $seats) = @_;

	foreach my $number (0 .. $#shards)
	{
		on_shard($number);
		fill_shard($count, $seats);
	}
	on_front();
}

# Runs statements as a role, on the front or a shard; returns as outcome() does, but all of the error:
# SQLSTATE, MESSAGE, DETAIL and HINT, a line each.
sub run_as
{
	my ($node, $role, $sql) = @_;
	local $ENV{PGPASSWORD} = password($role);
	my ($status, $output, $errors) = $node->psql(
		'postgres',
		"\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n$sql",
		extra_params => [ '-U', $role ]
	);

	return $output if $status == 0;
	my ($error) = $errors =~ /ERROR:  (.*)/s;
	die "psql: $errors\n" if !defined $error;
	$error =~ s/\n(?:SCHEMA NAME|LOCATION):.*//s;
	return join "\n", grep { $_ ne '' } $output, $error;
}

sub call_front
{
	my ($role, $sql) = @_;

	return run_as($front, $role, $sql);
}

sub call_shard
{
	my ($number, $role, $sql) = @_;

	return run_as($shards[$number], $role, $sql);
}

1;
