# The benchmark: measures one part after the other in servers of its own, and writes the
# results. ci/bench runs it.
use strict;
use warnings;

use FindBin;
use Getopt::Long;
use lib "$FindBin::RealBin/lib";
use Module::Load;

use Bench::Client  qw(build_client);
use Bench::Data    qw(fill_database);
use Bench::Report  qw(report);
use Bench::Results qw(write_results);
use Bench::Server  qw(create_cluster start_server stop_server);

my @parts = qw(rival instructions reads members direct refusal speed locks many memory fillfactor churn size
  statements extras revoked contention);

# How much is measured: in a few minutes, or with --full in an hour.
my %plans = (
	bench => {
		shop          => 360_000,
		rival         => 100_000,
		pairs         => 10,
		rounds        => 2,
		claims        => 300,
		speed_rounds  => 5,
		speed_calls   => { off => 2000, on => 700 },
		memory        => 50_000,
		churn         => 30_000,
		events        => 1_000_000,
		revoked       => 100_000,
		contention    => 5,
		sizes         => [ 1000, 300_000 ],
		purchase      => 100_000,
		large_buffers => '2GB', },
	full => {
		shop          => 1_000_000,
		rival         => 1_000_000,
		pairs         => 20,
		rounds        => 2,
		claims        => 500,
		speed_rounds  => 7,
		speed_calls   => { off => 2500, on => 1000 },
		memory        => 1_000_000,
		churn         => 200_000,
		events        => 3_000_000,
		revoked       => 1_000_000,
		contention    => 15,
		sizes         => [ 1000, 1_000_000, 20_000_000 ],
		purchase      => 1_000_000,
		large_buffers => '8GB', },);

GetOptions(\my %options,
	'full', 'only=s', 'work=s', 'results=s', 'installation=s', 'command=s')
  or exit 2;
my @selected = split /,/, $options{only} // join ',', @parts;
my $plan = { %{ $plans{ $options{full} ? 'full' : 'bench' } }, results => $options{results} };

# At the end, or when told to end: a checkpoint would take its time, and nobody needs the data.
$SIG{TERM} = $SIG{INT} = sub { exit 143 };
END { my $status = $?; stop_server('QUIT'); $? = $status }

foreach my $part (@selected)
{
	grep { $_ eq $part } @parts or die "no part is called $part; there are: @parts\n";
}
$| = 1;
srand 4;
build_client($options{work});
create_cluster($options{work}, $options{installation});
my $own_data = qr/^(rival|memory|fillfactor|churn|size|statements|extras|revoked|contention)$/;
if (grep { !/$own_data/ } @selected)
{
	start_server();
	fill_database('shop', $plan->{shop}, $plan->{shop});
	stop_server();
}
foreach my $part (@selected)
{
	my $module = 'Bench::Part::' . ucfirst $part;
	my $start  = time;

	load $module;
	$module->can('run')->($plan);
	printf "%s: %d s\n", $part, time - $start;
}
write_results("$plan->{results}/results.tsv");
report($plan->{results}, $options{command});
