# The databases of the benchmark: their tables filled, and tokens of seats that were not
# claimed yet.
package Bench::Data;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(shuffle);

use Bench::Client qw($bench write_input);
use Bench::Server qw(query directory);
use Bench::Token  qw(write_tokens);

our @EXPORT_OK =
  qw(fill_database fill_rival claims_input sessions_input tokens_of make_subscription id);

# By the name of the database: tokens of pending seats with their hashes, and of sessions.
my (%pending, %sessions);

# Returns the id that fill.sql gives a row of the application.
sub id
{
	my ($database, $kind, $number) = @_;

	return query($database, "SELECT bench.id('$kind', $number)");
}

# Makes a database with so many seats and as many sessions, or fewer; tokens of some of them are
# known. One more subscription may have very many seats.
sub fill_database
{
	my ($database, $seats, $known, $sessions, $large) = @_;
	my $path  = directory() . "/tokens";
	my $start = time;

	query('postgres', "CREATE DATABASE $database");
	query($database,  'CREATE EXTENSION pgcrypto; CREATE EXTENSION seats');
	query($database,  "\\i $bench/setup.sql");
	write_tokens($path, $seats, $known);
	query(
		$database, "\\i $bench/fill.sql",
		seats    => $seats,
		sessions => $sessions // $seats,
		large    => $large // 0,
		tokens   => $path);

	open my $file, '<', $path or die "$path: $!\n";
	while (<$file>)
	{
		my ($n, $token, $hash, $session) = split /\t/;

		push @{ $pending{$database} },  [ $token, $hash =~ s/\\\\/\\/r ];
		push @{ $sessions{$database} }, [$session] if $n < ($sessions // $seats);
	}
	close $file;
	unlink $path;
	$pending{$database}  = [ shuffle @{ $pending{$database} } ];
	$sessions{$database} = [ shuffle @{ $sessions{$database} } ];
	printf "%s: filled with %d seats in %d s\n", $database, $seats, time - $start;
}

# Adds the tables and functions of somebody who keeps seats without the extension, with the rows
# that the extension's tables have now.
sub fill_rival
{
	my ($database) = @_;
	my $start = time;

	query($database, "\\i $bench/rival/$_.sql") for qw(tables fill functions);
	printf "%s: rival filled in %d s\n", $database, time - $start;
}

# Returns the input of so many claims, of seats that nobody has claimed.
sub claims_input
{
	my ($database, $count) = @_;
	my $tokens = $pending{$database};

	die "$database has too few seats left\n" if @$tokens < $count;
	return write_input([qw(token token_hash)], splice @$tokens, 0, $count);
}

# Returns the input of so many calls with tokens of sessions, in an order of its own each time.
sub sessions_input
{
	my ($database, $count) = @_;
	my $tokens = $sessions{$database};

	return write_input(['token'], map { $tokens->[ rand @$tokens ] } 1 .. $count);
}

# Returns what is left of the tokens of pending seats with their hashes, and those of sessions.
sub tokens_of
{
	my ($database) = @_;

	return $pending{$database}, $sessions{$database};
}

# Makes a subscription with so many seats assigned, of the first organization; returns its id
# and the tokens with their hashes.
sub make_subscription
{
	my ($database, $name, $seats) = @_;
	my $rows = query(
		$database, qq{
		SET client_min_messages = warning;
		INSERT INTO seats.subscriptions (organization_id, product_id, customer_id, seats, status)
		VALUES (bench.id('organization', 0), bench.id('product', 0), bench.id('customer', 0), 10000000,
			'active')
		RETURNING id \\gset
		SELECT :'id';
		SELECT a.invitation_token, sha256(convert_to(a.invitation_token, 'UTF8'))
		FROM generate_series(0, ($seats - 1) / 1000) AS batch,
			seats.assign_seats(:'id', NULL, ARRAY(
				SELECT format('$name%s\@example.com', n)
				FROM generate_series(batch * 1000 + 1, least(batch * 1000 + 1000, $seats)) AS n)) AS a;
	});
	my ($id, @tokens) = split /\n/, $rows;

	return $id, map { [ split /\|/ ] } @tokens;
}

1;
