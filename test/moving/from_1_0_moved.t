# A database of 1.0 moves to 1.1 on a newer version of PostgreSQL: by a dump, which is restored into the objects of 1.1, and by
# pg_upgrade, after which it is updated.  People go on with the invitations and sessions they have, or are refused as before.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsCatalog;
use SeatsMoving;
use SeatsReleased;
use SeatsTest;
use Test::More;

my ($first_shop, $second_shop) = SHOPS;
my $oldest = oldest_version();
my $newest = (versions())[-1];
my $directory = PostgreSQL::Test::Utils::tempdir();
my $old = new_released_server('old', $oldest);

# Returns the statements of a section of docs/operations.md.
sub statements_of
{
	my ($title) = @_;
	my ($section) = slurp_file("$FindBin::RealBin/../../docs/operations.md") =~ /^#+ \Q$title\E\n(.*?)^#/ms or die "no section $title";

	return $section =~ /^```sql\n(.*?)^```/msg;
}

# Tests that all hold what they held, sessions that are JWTs only with their keys.
sub check_outcomes
{
	my ($held, $before, $where, $keys) = @_;

	foreach my $shop (SHOPS)
	{
		my $expected = $before->{$shop};

		$expected =~ s/^(session_of_jwt:) .*/$1 PT401 session_invalid/m if !$keys;
		is(outcomes_of_held($held->{$shop}), $expected, "$where: invitations and sessions work or are refused as before: $shop");
	}
}

$old->start;
on_node($old);
my %held = fill_released();
my %before = map { $_ => outcomes_of_held($held{$_}) } SHOPS;
my $as_it_was = rows_to_expect('jwt_keys');
my $unchanged = rows_found('jwt_keys');
isnt($as_it_was, $unchanged, 'the update has something to do');
query('CREATE DATABASE plain');
in_database('plain');
query('SET client_min_messages = warning; CREATE EXTENSION seats CASCADE');
in_database('postgres');

# By a dump.
my $new = new_server('restored', $newest);
$new->start;
on_node($new);
create_roles();
query('CREATE DATABASE moved TEMPLATE template0');
in_database('moved');
$new->command_ok([ 'pg_dump', '--format=custom', "--file=$directory/dump", $old->connstr('postgres') ],
	"pg_dump of $newest dumps 1.0 on $oldest");
$new->command_ok([ 'pg_restore', '--exit-on-error', '--dbname=' . $new->connstr('moved'), "$directory/dump" ],
	"pg_restore of $newest restores it");
is(query(q{SELECT extversion FROM pg_extension WHERE extname = 'seats'}), '1.1', 'into the objects of 1.1');
is(difference($unchanged, rows_found('jwt_keys')), '', 'all rows are there, as they were');
check_outcomes(\%held, \%before, 'restored', 0);
query($_) foreach statements_of('Dumps of 1.0');
is(difference($as_it_was, rows_found('jwt_keys')), '', 'afterwards they are as the update leaves them');
check_addresses('restored');
check_rules('restored, and mended');
query(q{SELECT seats.grant_access('anonymous', 'backend', 'customer')});
check_life($_, $held{$_}, 'restored') foreach SHOPS;
check_upkeep('restored');
$new->stop;

# By pg_upgrade.
$new = new_server('upgraded', $newest);
$old->stop;
chdir $PostgreSQL::Test::Utils::tmp_check or die;
$new->command_ok(
	[
		'pg_upgrade', '--jobs=2', '--no-sync',
		'--old-datadir' => $old->data_dir, '--new-datadir' => $new->data_dir,
		'--old-bindir' => $old->install_path . '/bin', '--new-bindir' => $new->install_path . '/bin',
		'--old-port' => $old->port, '--new-port' => $new->port, '--socketdir' => $new->host ],
	"pg_upgrade from 1.0 on $oldest to $newest");
$new->start;
on_node($new);
in_database('postgres');
is(query(q{SELECT extversion FROM pg_extension WHERE extname = 'seats'}), '1.0', 'the objects are still of 1.0');
like(outcome("SELECT seats.claim_seat('$held{$first_shop}{pending}')"), qr/^55000 the extension seats is of version 1\.0/,
	'they wait for the update');
is(outcome('ALTER EXTENSION seats UPDATE'), '', 'which goes through');
is(difference($as_it_was, rows_found('jwt_keys')), '', 'rows are as they were, but for metadata of revoked seats and for addresses');
check_addresses('upgraded');
check_rules('upgraded');
check_outcomes(\%held, \%before, 'upgraded', 1);
query(q{SELECT seats.grant_access('anonymous', 'backend', 'customer'); CREATE DATABASE fresh});
in_database('plain');
query('ALTER EXTENSION seats UPDATE');
in_database('fresh');
query('SET client_min_messages = warning; CREATE EXTENSION seats CASCADE');
check_same_catalog('fresh', 'plain', 'the catalog is that of a new database');
in_database('postgres');
check_life($_, $held{$_}, 'upgraded', keys => 1) foreach SHOPS;
check_upkeep('upgraded');

done_testing();
