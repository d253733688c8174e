# What the tests of databases from 1.0 share: a server of the oldest version of PostgreSQL with 1.0's own library
# and SQL, which 1.1's can replace, and a database that 1.0 filled, with seats, sessions and events in every state.
package SeatsReleased;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use File::Copy;
use FindBin;
use PostgreSQL::Test::Utils ();
use SeatsMoving;
use SeatsTest;
use Test::More;

our @EXPORT = qw(oldest_version new_released_server install_released install_current fill_released rows_to_expect rows_found difference
  outcomes_of_held check_addresses check_counts check_rules);

# Returns the oldest version of PostgreSQL, for which 1.0 is built.
sub oldest_version
{
	plan skip_all => 'servers do not run as root' if $> == 0;
	plan skip_all => 'needs 1.0, which ci/test-moving takes from the history, or SEATS_1_0' if !$ENV{RELEASED};
	my ($version) = sort map { m{/(\d+)/lib/seats\.so$} } glob "$ENV{SERVERS}/*/lib/seats.so";
	return $version;
}

# Returns the directories of a server's installation that have files of extensions: that of libraries, and that of
# control files and scripts.
sub directories
{
	my ($installation) = @_;
	my ($base, $version) = $installation =~ m{^(.*)/lib/postgresql/(\d+)$} or die $installation;

	return ("$installation/lib", "$base/share/postgresql/$version/extension");
}

# Puts the extension's files of one installation into another, as a package does: each file is written beside the old one
# and takes its name, so a session that has loaded the old library keeps it.
sub replace_files
{
	my ($from, $to) = @_;
	my @from = directories($from);
	my @to = directories($to);

	unlink glob "$to[1]/seats*";
	foreach my $i (0, 1)
	{
		my @files = glob "$from[$i]/seats[.-]*" or die "no files in $from[$i]";
		foreach my $file (@files)
		{
			my $name = "$to[$i]/" . basename($file);

			copy($file, "$name.new") or die "$name.new: $!";
			chmod((stat $file)[2] & 0777, "$name.new");
			rename "$name.new", $name or die "$name: $!";
		}
	}
}

# Makes a server of the oldest version of PostgreSQL, without starting it, that has 1.0 in an installation of its own.
sub new_released_server
{
	my ($name, $version) = @_;
	my ($base) = $ENV{SERVERS} =~ m{^(.*)/lib/postgresql$} or die $ENV{SERVERS};
	my $own = PostgreSQL::Test::Utils::tempdir();

	foreach my $directory (qw(lib share))
	{
		# Links to the files save time and space.
		system('mkdir', '-p', "$own/$directory/postgresql") == 0 or die;
		system('cp', '-rl', "$base/$directory/postgresql/$version", "$own/$directory/postgresql/") == 0 or die;
	}
	my $node = new_server($name, $version, "$own/lib/postgresql/$version");
	install_released($node, $version);
	return $node;
}

# Puts 1.0's files into such a server.
sub install_released
{
	my ($node, $version) = @_;

	replace_files("$ENV{RELEASED}/usr/lib/postgresql/$version", $node->install_path);
}

# Replaces 1.0's files of such a server by 1.1's.
sub install_current
{
	my ($node, $version) = @_;

	replace_files("$ENV{SERVERS}/$version", $node->install_path);
}

# Fills a database by the functions of 1.0: what SeatsMoving fills it with, which has seats that are pending, expired, claimed,
# claimed at once, revoked with metadata, and given again, sessions that are opaque, JWTs, expired and ended, subscriptions
# and orders; and what 1.1 treats in another way. Returns for each organization what its people hold.
sub fill_released
{
	my %held = fill();

	foreach my $shop (SHOPS)
	{
		my ($unpaid, $other) = map { $shop =~ s/^0/$_/r } qw(d c);
		my $held = $held{$shop};

		query(qq{
			INSERT INTO seats.subscriptions (id, organization_id, product_id, customer_id, seats, status)
				VALUES ('$unpaid', '$shop', '$shop', '$shop', 5, 'active'), ('$other', '$shop', '$shop', '$shop', 10, 'active')});

		# 1.0 revokes the seats of an unpaid subscription.
		$held->{$_} = assign_to($unpaid, $_) foreach qw(unpaid unpaid_claimed);
		$held->{session_of_unpaid} = claim($held->{unpaid_claimed});
		query("UPDATE seats.subscriptions SET status = 'unpaid' WHERE id = '$unpaid'");

		# Addresses change, and seats keep the old ones.
		$held->{$_} = assign_to($other, $_) foreach qw(moved moved_claimed silent late dismissed);
		$held->{session_of_moved} = claim($held->{moved_claimed});
		query(qq{
			UPDATE seats.customers SET email = 'new_' || email
				WHERE organization_id = '$shop' AND email IN ('moved\@example.com', 'moved_claimed\@example.com');
			UPDATE seats.customers SET email = NULL WHERE organization_id = '$shop' AND email = 'silent\@example.com';
			UPDATE seats.customer_seats SET invitation_token_expires_at = now()
				WHERE organization_id = '$shop' AND customer_email = 'late\@example.com';
			UPDATE seats.customers SET email = 'later\@example.com'
				WHERE organization_id = '$shop' AND email = 'late\@example.com';
			SELECT seats.revoke_seat(id) FROM seats.customer_seats
				WHERE organization_id = '$shop' AND customer_email = 'dismissed\@example.com'});
	}
	return %held;
}

# Assigns a seat with metadata; returns its token.
sub assign_to
{
	my ($subscription, $name) = @_;

	return query(qq{
		SELECT invitation_token
		FROM seats.assign_seat('$subscription', email => '$name\@example.com', metadata => '{"name": "$name"}')
	});
}

# The columns of 1.0's tables that the update leaves as they are, and what it makes of the others.
my %as_updated = (
	customer_seats => {
		seat_metadata => q{CASE status WHEN 'revoked' THEN NULL ELSE seat_metadata END},
		customer_email => q{(SELECT email FROM seats.customers AS c WHERE c.id = t.customer_id)},
	});

# The columns of each table of 1.0, in their order; filled when a database of 1.0 is asked for its rows.
my %columns;

# Returns the rows of all tables but those named, by the columns of 1.0: as they are, or as the update is to leave them.
sub rows
{
	my ($updated, @without) = @_;
	my %without = map { $_ => 1 } @without;

	return query(join '', map {
		my $table = $_;
		my $row = join ', ', map { $updated && $as_updated{$table}{$_} || "t.$_" } @{ $columns{$table} };
		"SELECT '$table', $row FROM seats.$table AS t ORDER BY ROW($row)::text COLLATE \"C\";\n"
	} grep { !$without{$_} } sort keys %columns);
}

# Returns the rows that a database of 1.0 is to have after the update.
sub rows_to_expect
{
	foreach (split /\n/, query(q{
		SELECT table_name, column_name
		FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
		WHERE table_schema = 'seats' AND table_type = 'BASE TABLE' ORDER BY table_name, ordinal_position}))
	{
		my ($table, $column) = split /\|/;
		push @{ $columns{$table} }, $column;
	}
	return rows(1, @_);
}

# Returns the rows of a database, by the columns of 1.0.
sub rows_found
{
	return rows(0, @_);
}

# Returns the lines that only one of two texts has.
sub difference
{
	my %seen;

	$seen{$_}++ foreach split /\n/, $_[0];
	$seen{$_}-- foreach split /\n/, $_[1];
	return join "\n", map { ($seen{$_} > 0 ? 'missing: ' : 'found: ') . $_ } grep { $seen{$_} } sort keys %seen;
}

# Returns what those who hold invitations and sessions get for them, of which nothing stays. A changed address is told otherwise
# from 1.1 on, so none is among the answers.
sub outcomes_of_held
{
	my ($held) = @_;

	return join "\n", map {
		my $call = /^session_of_/ ? 'SELECT customer_id, seat_id FROM seats.authenticate' :
		  'SELECT (seat).id, (seat).status, (seat).customer_id, (seat).seat_metadata FROM seats.claim_seat';
		"$_: " . outcome("BEGIN; $call('$held->{$_}'); ROLLBACK")
	} sort keys %$held;
}

# Tests that seats have the addresses of their customers.
sub check_addresses
{
	my ($where) = @_;

	is( query(q{
			SELECT s.id FROM seats.customer_seats AS s LEFT JOIN seats.customers AS c ON c.id = s.customer_id
			WHERE s.customer_email IS DISTINCT FROM c.email LIMIT 5}),
		'', "$where: seats have the addresses of their customers");
	is(query(q{SELECT count(*) FROM seats.customer_seats WHERE status = 'revoked' AND seat_metadata IS NOT NULL}),
		'0', "$where: revoked seats have no metadata");
}

# Tests that purchases have the counts of their seats, in any version.
sub check_counts
{
	my ($where) = @_;

	is( query(q{
			SELECT id FROM (SELECT id, assigned_seats FROM seats.subscriptions UNION ALL SELECT id, assigned_seats FROM seats.orders) AS p
			LEFT JOIN (SELECT coalesce(subscription_id, order_id) AS id, count(*) AS n FROM seats.customer_seats
				WHERE status <> 'revoked' GROUP BY 1) AS s USING (id)
			WHERE assigned_seats <> coalesce(n, 0) LIMIT 5}),
		'', "$where: counts are right");
}

# Tests the rules that triggers keep in 1.1, by the statement of docs/operations.md.
sub check_rules
{
	my ($where) = @_;
	my ($rules) =
	  PostgreSQL::Test::Utils::slurp_file("$FindBin::RealBin/../../docs/operations.md") =~
	  /^```sql\n((?:(?!^```).)*? AS broken.*?)^```/ms;

	is(query($rules), '', "$where: no rule is broken");
}

1;
