# Which e-mail addresses are taken, and which are the same: the functions, the constraint on seats.customers and its
# index go by one rule, in every encoding and locale.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsTest;
use Test::More;
use Unicode::UCD;

my $node = start_node('addresses');
my $shop = ID;

# Makes a database with a shop, and what the tests below ask it.
sub make_database
{
	my ($name, $options) = @_;

	in_database('postgres');
	query("CREATE DATABASE $name TEMPLATE template0 $options");
	in_database($name);
	create_shop(10);
	query(<<~"SQL");
		CREATE TABLE rule AS SELECT pg_get_constraintdef(oid) AS definition, pg_get_expr(conbin, conrelid) AS expression
		FROM pg_constraint WHERE conname = 'customers_email_check' AND convalidated;
		-- The places of those addresses that assign_seats() refuses; there is always one more.
		CREATE FUNCTION refused(emails text[]) RETURNS integer[] LANGUAGE plpgsql AS \$\$
		DECLARE
			faults jsonb;
		BEGIN
			PERFORM seats.assign_seats('$shop', NULL, array_append(emails, NULL));
		EXCEPTION WHEN SQLSTATE 'PT422' THEN
			GET STACKED DIAGNOSTICS faults = PG_EXCEPTION_DETAIL;
			RETURN ARRAY(SELECT (fault -> 'loc' ->> 2)::integer + 1 FROM jsonb_array_elements(faults - -1) AS fault ORDER BY 1);
		END
		\$\$;
		CREATE TABLE address (n integer PRIMARY KEY, email text, name text);
		CREATE FUNCTION violating() RETURNS integer[] LANGUAGE plpgsql AS \$\$
		DECLARE
			result integer[];
		BEGIN
			EXECUTE (SELECT 'SELECT coalesce(array_agg(n ORDER BY n), ''{}'') FROM address WHERE NOT (' || expression || ')' FROM rule) INTO result;
			RETURN result;
		END
		\$\$;
		SQL
	return;
}

# Returns numbers as ranges.
sub ranges
{
	my @numbers = sort { $a <=> $b } @_;
	my @ranges;

	foreach my $number (@numbers)
	{
		if (@ranges && $ranges[-1][1] == $number - 1) { $ranges[-1][1] = $number }
		else { push @ranges, [ $number, $number ] }
	}
	return join ' ', map { $_->[0] == $_->[1] ? sprintf('%X', $_->[0]) : sprintf('%X-%X', @$_) } @ranges;
}

# Every character that there is, in the middle of an address.
make_database('utf8', "ENCODING 'UTF8' LOCALE 'C'");
query(q{INSERT INTO address SELECT row_number() OVER (ORDER BY n), 'a' || chr(n) || 'b@c', n
	FROM generate_series(1, 1114111) AS n WHERE n NOT BETWEEN 55296 AND 57343 AND n <> ascii('@')});
my $by_function = query(q{SELECT string_agg(name, ' ' ORDER BY n) FROM address
	WHERE n IN (SELECT unnest(refused(ARRAY(SELECT email FROM address ORDER BY n))))});
my $by_constraint = query(q{SELECT string_agg(name, ' ' ORDER BY n) FROM address WHERE n IN (SELECT unnest(violating()))});

# Perl's own properties. Unicode 15 made Egyptian format controls of some characters that 14 has not assigned.
my @expected = grep {
	chr =~ /[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\x{2800}<>()\[\]\\,;:"]/
	  || ($_ >= 0x13439 && $_ <= 0x1343F)
} 1 .. 0xD7FF, 0xE000 .. 0x10FFFF;
note 'Perl knows Unicode ' . Unicode::UCD::UnicodeVersion();
cmp_ok(scalar @expected, '>', 4300, 'perl knows what is invisible');
is(ranges(split / /, $by_function), ranges(@expected), 'UTF8: the function refuses these of all characters');
is(ranges(split / /, $by_constraint), ranges(@expected), 'UTF8: so does the constraint');

# Forms of whole addresses. What the function takes, an INSERT takes, and nothing else.
sub same_for_forms
{
	my ($encoding) = @_;

	query(q{TRUNCATE address; INSERT INTO address SELECT n, email, email FROM unnest(ARRAY['', '@', 'a', 'a@', '@b', 'a@b', 'a@@b', 'a@b@c', ' a@b',
		'a@b ', E'a@b\n', E'\na@b', E'a\n@\nb', '<a@b>', '"a@b"', 'a@b;', 'a@b,c@d', 'mailto:a@b', 'first.last+tag@sub.example', 'o''d{d}|!#$%&*/=?^_`~-@b',
		repeat('x', 318) || '@b', repeat('x', 319) || '@b', repeat('x', 321), '[@]', 'a\@b', '^@$'])
		WITH ORDINALITY AS a (email, n)});
	is( query('SELECT refused(ARRAY(SELECT email FROM address ORDER BY n)) = violating()'),
		't', "$encoding: function and constraint take the same forms");
	return query('SELECT string_agg(left(email, 30), \' \' ORDER BY n) FROM address WHERE n NOT IN (SELECT unnest(violating()))');
}
my $taken = 'a@b first.last+tag@sub.example o\'d{d}|!#$%&*/=?^_`~-@b ' . 'x' x 30 . ' ^@$';
is(same_for_forms('UTF8'), $taken, 'UTF8: these are taken');
is( outcome("INSERT INTO seats.customers (organization_id, email) VALUES ('$shop', 'a\@b '), ('$shop', NULL)") =~ s/ .*//sr,
	'23514', 'the constraint refuses an address with a space');
is(outcome("INSERT INTO seats.customers (organization_id, email) VALUES ('$shop', NULL), ('$shop', NULL)"), '', 'it lets null pass');

# The constraint needs no right on anything of the extension's.
is( query(q{SELECT count(*) FROM pg_depend WHERE classid = 'pg_constraint'::regclass
	AND objid = (SELECT oid FROM pg_constraint WHERE conname = 'customers_email_check') AND refclassid = 'pg_proc'::regclass}),
	'0', 'it calls only what PostgreSQL has');
query(q{CREATE ROLE writer; GRANT USAGE ON SCHEMA seats TO writer; GRANT INSERT (organization_id, email) ON seats.customers TO writer});
is(outcome("SET ROLE writer; INSERT INTO seats.customers (organization_id, email) VALUES ('$shop', 'w\@x')"), '',
	'who may insert into the table and nothing else can insert');

# Other encodings. Each character of one or two bytes, and those of three or four that begin as they do in EUC.
my $candidates = <<'SQL';
	SELECT decode(lpad(to_hex(a), 2, '0'), 'hex') AS bytes FROM generate_series(1, 255) AS a
	UNION ALL
	SELECT decode(to_hex(a) || to_hex(b), 'hex') FROM generate_series(128, 255) AS a, generate_series(128, 255) AS b WHERE length > 1
	UNION ALL
	SELECT decode('8f' || to_hex(a) || to_hex(b), 'hex') FROM generate_series(161, 254) AS a, generate_series(161, 254) AS b WHERE length > 2
	UNION ALL
	SELECT decode('8ea1' || to_hex(a) || to_hex(b), 'hex') FROM generate_series(161, 254) AS a, generate_series(161, 254) AS b WHERE length > 3
SQL
in_database('postgres');
my @encodings = split /\n/, query(q{SELECT pg_encoding_to_char(n) FROM generate_series(0, 34) AS n
	WHERE pg_encoding_to_char(n) NOT IN ('', 'UTF8') ORDER BY n});
cmp_ok(scalar @encodings, '>', 30, 'there are other encodings');
my %refused;
foreach my $encoding (@encodings)
{
	make_database(lc $encoding, "ENCODING '$encoding' LOCALE 'C'");
	query(<<~"SQL");
		CREATE FUNCTION read_character(bytes bytea) RETURNS text LANGUAGE plpgsql AS \$\$
		BEGIN
			RETURN convert_from(bytes, getdatabaseencoding());
		EXCEPTION WHEN character_not_in_repertoire THEN RETURN NULL;
		END
		\$\$;
		INSERT INTO address
		SELECT row_number() OVER (), 'a' || read_character(bytes) || 'b\@c', encode(bytes, 'hex')
		FROM pg_encoding_max_length((SELECT encoding FROM pg_database WHERE datname = current_database())) AS length,
			LATERAL ($candidates) AS c
		WHERE length(read_character(bytes)) = 1 AND bytes <> '\@'
		SQL
	my $difference = query(q{SELECT string_agg(name, ' ' ORDER BY n) FROM address
		WHERE (n IN (SELECT unnest(refused(ARRAY(SELECT email FROM address ORDER BY n))))) <> (n IN (SELECT unnest(violating())))});
	# EUC_TW has the ideographic space twice, and PostgreSQL's regular expressions know no character of that number.
	is($difference, $encoding eq 'EUC_TW' ? '8ea1a1a1' : '', "$encoding: function and constraint refuse the same characters");
	# What Unicode calls them, where it has them.
	$refused{$encoding} = query(q{SELECT string_agg(name, ' ' ORDER BY n) FROM address WHERE n IN (SELECT unnest(violating())) AND name >= '80'});
	is(same_for_forms($encoding), $taken, "$encoding: these are taken");
}
is($refused{SQL_ASCII}, '', 'SQL_ASCII: nothing is known of other bytes');
is($refused{LATIN1}, join(' ', map { sprintf '%x', $_ } 0x80 .. 0xA0, 0xAD), 'LATIN1: controls, no-break space, soft hyphen');
is($refused{WIN1252}, 'a0 ad', 'WIN1252: no-break space, soft hyphen, and no quotation marks');
is($refused{KOI8R}, '9a', 'KOI8R: its own no-break space');
is($refused{WIN1255}, 'a0 ad fd fe', 'WIN1255: direction marks too');
like($refused{EUC_JP}, qr/\ba1a1$/, 'EUC_JP: the ideographic space');

# Two addresses are the same by the case of ASCII alone: in Turkish, i is not the small letter of I, and in Unicode
# k is that of the Kelvin sign.
sub same_and_different
{
	my ($what) = @_;

	foreach my $email ('info@example.com', 'kim@example.com', "stra\xc3\x9fe\@example.com", "\xc3\xa9mile\@example.com")
	{
		is(outcome("SELECT (seat).status FROM seats.assign_seat('$shop', email => '$email')"), 'pending', "$what: $email");
	}
	is(outcome("SELECT seats.assign_seat('$shop', email => 'INFO\@Example.com')"), 'PT400 seat_already_assigned', "$what: i is I");
	is(outcome("SELECT seats.assign_seats('$shop', NULL, '{j\@x,I\@x,i\@X}')"), 'PT400 seat_already_assigned', "$what: in a list too");
	is(outcome("INSERT INTO seats.customers (organization_id, email) VALUES ('$shop', 'INFO\@EXAMPLE.COM')") =~ s/ .*//sr,
		'23505', "$what: in a row too");
	is(outcome("SELECT (seat).customer_email FROM seats.assign_seat('$shop', email => U&'\\212Aim\@example.com')"),
		"\xe2\x84\xaaim\@example.com", "$what: the Kelvin sign is no k");
	is(outcome("SELECT (seat).customer_email FROM seats.assign_seat('$shop', email => U&'\\00C9mile\@example.com')"),
		"\xc3\x89mile\@example.com", "$what: letters beyond ASCII have no case");
	is(query(q{SELECT count(*) FROM seats.customers WHERE lower(email COLLATE "C") = 'info@example.com'}), '1', "$what: one customer");
	return;
}
SKIP:
{
	in_database('postgres');
	skip 'the server has no ICU', 1
	  if query(q{SELECT count(*) FROM pg_collation WHERE collprovider = 'i'}) eq '0';
	make_database('turkish', "ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'tr'");
	is(query(q{SELECT lower('I') <> 'i'}), 't', 'the database is Turkish');
	same_and_different('tr');

	make_database('insensitive', "ENCODING 'UTF8' LOCALE 'C'");
	query(q{CREATE COLLATION whatever (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
		ALTER TABLE seats.customers ALTER email TYPE text COLLATE whatever});
	is(query(q{SELECT 'e' = 'é' COLLATE whatever}), 't', 'the column ignores accents');
	same_and_different('a nondeterministic collation');
}
in_database('utf8');
same_and_different('C');

done_testing();
