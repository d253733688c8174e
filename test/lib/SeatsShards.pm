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

our @EXPORT = qw(EXAMPLE start_shard start_front start_shards connect_front spread organization call_front
  call_shard shard_of on_front on_shard password);

use constant EXAMPLE => "$FindBin::RealBin/../../examples/plproxy";

my ($front, @shards);

# Fronts log in at shards by password, each role by its own.
sub password
{
	my ($role) = @_;

	return "$role-password";
}

# Runs a file of the example as its comment says.
sub run_example
{
	my ($node, $file, %variables) = @_;

	$node->command_ok([ 'psql', '-XAtq', map({ ('-v', "$_=$variables{$_}") } sort keys %variables),
			'-f', EXAMPLE . "/$file", $node->connstr('postgres') ],
		"$file for " . $node->name);
}

# Starts a shard: of so many the one of this number.
sub start_shard
{
	my ($name, $count, $number, $configuration, %options) = @_;
	my $node = start_node($name, "max_connections = 60\n" . ($configuration // ''), %options);

	query('SET client_min_messages = warning; CREATE EXTENSION seats CASCADE');
	run_example($node, 'shard.sql', shards => $count, shard => $number);
	query(join '', map { "CREATE ROLE $_ LOGIN PASSWORD '" . password($_) . "';" } qw(anonymous backend customer));
	query(q{SELECT seats_shard.grant_access('anonymous', 'backend', 'customer')});
	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf', "local all anonymous,backend,customer scram-sha-256\nlocal all,replication all trust");
	$node->reload;
	return $node;
}

# The server seats of a front, by the connection strings of its shards.
sub connect_front
{
	my ($node, @connections) = @_;
	my $options = join ', ', "disable_binary '1'", "connection_lifetime '1800'", "query_timeout '2'",
	  map { "p$_ '$connections[$_]'" } 0 .. $#connections;

	on_node($node);
	query("CREATE SERVER seats FOREIGN DATA WRAPPER plproxy OPTIONS ($options)");
	query("CREATE ROLE $_ LOGIN; CREATE USER MAPPING FOR $_ SERVER seats OPTIONS (user '$_', password '" . password($_) . "')")
	  foreach qw(anonymous backend customer);
	query(q{SELECT seats.grant_access('anonymous', 'backend', 'customer')});
}

# Starts a front.
sub start_front
{
	my ($name, $configuration) = @_;
	my $node = start_node($name, "max_connections = 60\n" . ($configuration // ''));

	run_example($node, 'front.sql');
	return $node;
}

# Starts a front and so many shards.
sub start_shards
{
	my ($count, $configuration, %options) = @_;

	@shards = map { start_shard("shard$_", $count, $_, $configuration, %options) } 0 .. $count - 1;
	$front = start_front('front');
	connect_front($front, map { $_->connstr('postgres') =~ s/'/''/gr } @shards);
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

# Makes so many organizations, each where it belongs, with a subscription and an order of so many seats.
sub spread
{
	my ($count, $seats) = @_;

	foreach my $number (0 .. $#shards)
	{
		on_shard($number);
		query(qq{
			CREATE TEMP TABLE own AS
			SELECT n, md5('organization ' || n)::uuid AS id FROM generate_series(1, $count) AS n
			WHERE seats.organization_route(md5('organization ' || n)::uuid) & (SELECT shards - 1 FROM seats_shard.slice) = $number;
			INSERT INTO seats.organizations (id, name, slug, seat_based_pricing_enabled)
				SELECT id, 'Organization ' || n, 'o' || n, true FROM own;
			INSERT INTO seats.products (id, organization_id, name) SELECT id, id, 'Editor' FROM own;
			INSERT INTO seats.customers (id, organization_id, name) SELECT id, id, 'Payer' FROM own;
			INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
				SELECT id, id, id, id, $seats, 'active' FROM own;
			INSERT INTO seats.orders (id, organization_id, product_id, customer_id, seats, status)
				SELECT id, id, id, id, $seats, 'paid' FROM own});
	}
	on_front();
}

# Runs statements as a role, on the front or a shard; returns as outcome() does, but all of the error:
# SQLSTATE, MESSAGE, DETAIL and HINT, a line each.
sub run_as
{
	my ($node, $role, $sql) = @_;
	local $ENV{PGPASSWORD} = password($role);
	my ($status, $output, $errors) = $node->psql('postgres', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT never\n$sql",
		extra_params => [ '-U', $role ]);

	return $output if $status == 0;
	my ($error) = $errors =~ /ERROR:  (.*)/s;
	die "psql: $errors\n" if !defined $error;
	$error =~ s/\nLOCATION:.*//s;
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
