# The extension's own regression tests of what callers see, on a front of four shards, give what they give on one
# server.  They read and write the tables too: here these are foreign tables, partitioned as organizations are.  Left
# out is what cannot be the same: a call that is taken back with its transaction, a setting of the session, a trigger,
# a statement or column that foreign tables don't have.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use SeatsShards;
use SeatsTest;
use Test::More;

my ($front, @shards) = start_shards(4);
my $tests     = "$FindBin::RealBin/..";
my $directory = PostgreSQL::Test::Utils::tempdir();

# From a line to before another, in the test and in what is expected of it alike.
my %left_out = (
	'30_assign' => [
		[ qr/^SET seats\.invitation_ttl/, qr/^UPDATE seats\.organizations SET invitation_ttl/ ],
		[ qr/^SELECT s\.assigned_seats/,  qr/^SELECT o\.assigned_seats/ ],
		[ qr/^-- Every status/,           qr/^SELECT test\.clear/ ],
	],
	'32_assign_many' => [ [ qr/^-- A trigger of the owner's/,      qr/^DROP TABLE invited/ ] ],
	'33_import_seats' => [ [ qr/^-- A trigger of the owner/,            qr/^SELECT test\.clear/ ] ],
	'35_set_seats'    => [ [ qr/FROM seats\.usage/,                    qr/^SELECT \(seat\)\.status/ ] ],
	'37_has_seat'     => [ [ qr/^-- The customer of the request's JWT/, qr/^SELECT test\.clear/ ] ],
	'39_join_links'   => [ [ qr/^-- A constraint of the owner's/,       qr/^-- Refused, in this order/ ] ],
	'40_errors'      => [ [ qr/^-- The functions of the triggers/, qr/^SELECT test\.clear/ ] ],
	'50_odd_input'   => [ [ qr/^-- One character changed/,         qr/^-- One character too many/ ] ],
	'61_addresses'   => [
		[ qr/^MERGE INTO/,                    qr/^-- Revoked seats have no address/ ],
		[ qr/^SELECT state .* ''WITH\@/,      qr/^-- Rolled back/ ],
		[ qr/^-- The backend changes/,        qr/^DROP VIEW test\.addresses/ ],
	],
	'71_suspension' => [
		[ qr/^SET seats\.direct_access = off/, qr/^RESET seats\.direct_access/ ],
		[ qr/^SELECT seats_http\.resend/,      qr/^UPDATE .* now\(\) \+ interval '1 hour'/ ],
		[ qr/^SET ROLE/,                       qr/^SELECT test\.reason.* AS session_stays_ended/ ],
		[ qr/^MERGE INTO/,                     qr/^-- Lowering below/ ],
		[ qr/^-- Triggers of the owner/,       qr/^DROP VIEW test\.suspended/ ],
	],
	'73_open_session' => [
		[ qr/^SET seats\.direct_access = off/, qr/^-- A customer without an address/ ],
		[ qr/^-- A trigger of the owner/,      qr/^SELECT test\.clear/ ],
	],
	'74_erasing' => [
		[ qr/^-- A table of the application's/, qr/^SELECT seats\.erase_customer\(test\.id\(762\)\)/ ],
		[ qr/^SELECT type, metadata, seat/,     qr/^SELECT \* FROM test\.found/ ],
	],
);

# Returns the lines of a file, without what is left out of its test.
sub lines
{
	my ($name, $file) = @_;
	my @lines;
	my $end;

	foreach my $line (split /^/, slurp_file($file))
	{
		my ($left_out) = grep { $line =~ $_->[0] } @{ $left_out{$name} };

		undef $end            if $end && $line =~ $end;
		$end = $left_out->[1] if $left_out && !$end;
		push @lines, $line if !$end;
	}

	# Transactions that are rolled back.
	return join('', @lines) =~ s/^BEGIN;\n(?:(?!^COMMIT;$|^ROLLBACK;$).)*?^ROLLBACK;\n//gmsr;
}

on_front();
query(slurp_file("$FindBin::RealBin/regression.sql"));
query(slurp_file("$tests/sql/00_install.sql") =~ s/.*^(?=-- What the other tests share)//msr);

foreach my $name (
	qw(10_tokens 20_story 30_assign 32_assign_many 33_import_seats 34_resend 35_set_seats 36_lists 37_has_seat 39_join_links 40_errors
		45_housekeeping 50_odd_input 61_addresses 71_suspension 73_open_session 74_erasing))
{
	my ($input, $expected) = map { lines($name, $_) } "$tests/sql/$name.sql", "$tests/../expected/$name.out";

	# As pg_regress does.
	local @ENV{qw(PGTZ PGDATESTYLE PGOPTIONS)} =
	  ('PST8PDT', 'Postgres, MDY', '-c intervalstyle=postgres_verbose -c statement_timeout=10min');
	unlink "$directory/$name.sql";
	append_to_file("$directory/$name.sql", $input);
	my $output = '';
	IPC::Run::run(
		[ qw(psql -X -a -q -v SHOW_CONTEXT=never -f), "$directory/$name.sql", $front->connstr('postgres') ],
		'>&', \$output);
	$output =~ s/^psql:\S+: //gm;
	cmp_ok(scalar split(/\n/, $expected), '>', 20, "$name: there is something to compare");
	is($output, $expected, "$name on a front");
	query('SELECT test.clear()');
}

# The organizations of these tests are on more shards than one.
is(
	query(
		q{SELECT count(DISTINCT seats.organization_route(test.id(n)) & 3) FROM unnest(ARRAY[200, 300, 320, 330, 340, 360, 370, 400, 410]) AS n}
	),
	4,
	'they were spread'
);

done_testing();
