# Caches: what PostgreSQL keeps of the catalog may be thrown away at any moment that another session changes
# something. Here it is whenever that may happen: whoever goes on with what is gone reads overwritten memory. Only a
# server built with assertions can be told to.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../lib";
use SeatsCalls;
use SeatsTest;
use Test::More;

my $node = start_node('caches');

plan skip_all => 'the server was built without assertions'
  if query(q{SELECT max_val FROM pg_settings WHERE name = 'debug_discard_caches'}) eq '0';
create_calls_shop();

invite(50);

my $session = $node->background_psql('postgres', on_error_stop => 0);

sub check
{
	my ($call, $failed, $name) = @_;

	$session->query_safe('SET debug_discard_caches = 1');
	is($session->query("CALL repeat(\$call\$$call\$call\$, 1, 0)"), $failed, $name);
	$session->query_safe('SET debug_discard_caches = 0');
}

# Those that keep more than plans, which PostgreSQL looks after: a call takes a thousand times as long.
check($calls{$_}, 0, $_) foreach 'claim_info', 'claim_seat', 'claim_seat with a JWT', 'authenticate';
$session->quit;

done_testing();
