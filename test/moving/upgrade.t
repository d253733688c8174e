# A server is upgraded by pg_upgrade, from the oldest version to each newer one, and from one newer
# version to the next after life went on in it: everything comes along, keys of JWTs too, and people
# go on with the invitations and sessions they have, or are refused as before.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Utils;
use SeatsMoving;
use SeatsTest;
use Test::More;

my ($first_shop, $second_shop) = SHOPS;
my ($oldest, @newer) = versions();
my $old = new_server('old', $oldest);
my $keys = 'SELECT * FROM seats.jwt_keys ORDER BY kid';

# Makes a server of a newer version from an older one, which is stopped and stays as it was.
sub upgrade
{
	my ($from, $name, $version) = @_;
	my $new = new_server($name, $version);

	$from->stop;
	chdir $PostgreSQL::Test::Utils::tmp_check or die;
	$new->command_ok(
		[
			'pg_upgrade', '--jobs=2', '--no-sync',
			'--old-datadir' => $from->data_dir, '--new-datadir' => $new->data_dir,
			'--old-bindir' => $from->install_path . '/bin', '--new-bindir' => $new->install_path . '/bin',
			'--old-port' => $from->port, '--new-port' => $new->port, '--socketdir' => $new->host ],
		"pg_upgrade to $version");
	$new->start;
	on_node($new);
	like(query('SHOW server_version'), qr/^$version\./, "it is version $version");
	return $new;
}

# Tests that all is as it was, keys too.
sub check_all
{
	my ($portrait, $known_keys, $where) = @_;

	check_portrait($portrait, $where);
	is(query($keys), $known_keys, "$where: keys of JWTs are the same");
}

$old->start;
on_node($old);
my %held = fill();
check_life($_, $held{$_}, "version $oldest", rehearse => 1, keys => 1) foreach SHOPS;
my $portrait = portrait();
my $known_keys = query($keys);
my $last;

foreach my $version (@newer)
{
	if ($last)
	{
		# There the people of one organization came back, and those of the other come back here.
		my $name = "on_to$version";
		on_node($last);
		my $later = portrait();
		my $later_keys = query($keys);
		my $node = upgrade($last, $name, $version);
		check_all($later, $later_keys, $name);
		check_life($second_shop, $held{$second_shop}, $name, keys => 1);
		check_upkeep($name);
		$node->stop;
	}
	my $name = "to$version";
	my $new = upgrade($old, $name, $version);
	check_all($portrait, $known_keys, $name);
	check_life($first_shop, $held{$first_shop}, $name, keys => 1);
	query('SELECT seats.rotate_jwt_key()');
	$last = $new;
}
on_node($last);
check_life($second_shop, $held{$second_shop}, 'the last', keys => 1);
check_upkeep('the last');

done_testing();
