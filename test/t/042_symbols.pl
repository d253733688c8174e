# The library shares its process with others.  It shows them only the symbols that PostgreSQL looks
# up, and a library that was loaded before and has symbols of the same names changes nothing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsCalls;
use SeatsTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('symbols');
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';

# What a program prints, or undef if there is no such program.
sub output_of
{
	my @command = @_;
	my $output = '';
	my $succeeded = eval { IPC::Run::run(\@command, '>', \$output, '2>&1') };

	if (!defined $succeeded)
	{
		note("no $command[0]: $@");
		return undef;
	}
	die "@command: $output" if !$succeeded;
	return $output;
}

sub configured
{
	my $output = output_of($pg_config, @_) // die "no $pg_config";

	chomp $output;
	return $output;
}

# The library that the server loads.
sub library
{
	my $path = query('SHOW dynamic_library_path');
	my $libdir = configured('--pkglibdir');

	foreach my $directory (map { s/^\$libdir/$libdir/r } split /:/, $path)
	{
		return $_ foreach grep { -e } glob "$directory/seats.{so,dylib}";
	}
	die "no library in $path";
}

# The names in the sources: those of functions that PostgreSQL looks up, and of functions and
# variables that the files share.
my (@called, @functions, @variables);
foreach my $file (glob "$FindBin::RealBin/../../src/*.[ch]")
{
	my $source = slurp_file($file);

	push @called, $source =~ /^PG_FUNCTION_INFO_V1\((\w+)\);/mg;
	next if $file !~ /\.h$/;
	foreach my $declaration ($source =~ /^extern ([^;]+);/mg)
	{
		next if $declaration =~ /PGDLLEXPORT/;
		my ($name, $bracket) = $declaration =~ /(\w+)(?:\[.*\]|(\().*)?$/s;
		($name) = $declaration =~ /(\w+)\(/ if defined $bracket;
		push @{ defined $bracket ? \@functions : \@variables }, $name;
	}
}
my %named = map { $_ => 1 } @functions, @variables;
is_deeply(
	[ grep { !$named{$_} } qw(raise_error form_composite is_uuid known_tables setting_jwt_role) ],
	[], 'the sources have been read');

SKIP:
{
	my $symbols = output_of('nm', '-D', '--defined-only', library());
	skip 'there is no nm', 1 if !defined $symbols;

	my %expected =
	  map { $_ => 1 } '_PG_init', 'Pg_magic_func', map { ($_, "pg_finfo_$_") } @called;
	# Names with two underscores are the compiler's own.
	my @found = grep { !/^__/ } $symbols =~ /^[0-9a-f]+ \w (\S+)$/mg;
	is_deeply([ sort @found ], [ sort keys %expected ],
		'the dynamic symbols are those that PostgreSQL looks up');
}

# A library with the same names, whose functions raise an error.
sub build_same_names
{
	my $base = PostgreSQL::Test::Utils::tempdir() . '/same_names';
	my $compiler = $ENV{CC} // configured('--cc');

	append_to_file("$base.c", join "\n",
		'#include "postgres.h"', '#include "fmgr.h"', 'PG_MODULE_MAGIC;',
		(map { qq(void $_(void); void $_(void) { elog(ERROR, "$_() is another library's"); }) }
			  @functions, @called),
		(map { "char $_\[4096];" } @variables), '');
	my @command = (
		(split ' ', $compiler), '-std=gnu11', '-w', '-fPIC', '-shared',
		'-I' . configured('--includedir-server'), (split ' ', configured('--cppflags')),
		'-o', "$base.so", "$base.c");
	return defined output_of(@command) ? "$base.so" : undef;
}

# How a call ends: empty, or its SQLSTATE and its DETAIL or MESSAGE.
sub ending
{
	return outcome("$_[0] \\g /dev/null");
}

my $same_names = build_same_names();
SKIP:
{
	skip 'there is no compiler', 1 if !defined $same_names;

	my %all = (%calls, %failing);
	my %endings;
	foreach my $database ('alone', 'second')
	{
		in_database('postgres');
		query("CREATE DATABASE $database");
		query("ALTER DATABASE second SET session_preload_libraries = '$same_names'")
		  if $database eq 'second';
		in_database($database);
		create_calls_shop();
		invite(100);
		$endings{$database} = { map { $_ => ending($all{$_}) } sort keys %all };
	}
	is_deeply([ grep { $endings{alone}->{$_} ne '' } sort keys %calls ],
		[], 'all calls succeed where seats is alone');
	is_deeply($endings{second}, $endings{alone},
		'and end in the same way where a library with the same names was loaded first');
}

done_testing();
