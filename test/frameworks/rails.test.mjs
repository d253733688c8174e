// What docs/frameworks.md says of Rails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, examples, openShop, runProgram, serverLog } from './lib/page.mjs';

const program = `
require 'active_record'
require 'json'
require 'stringio'
ActiveRecord::Base.establish_connection(adapter: 'postgresql', database: ENV['PGDATABASE'], host: ENV['PGHOST'], username: 'backend')
acme, editor, ada = JSON.parse(ARGV[0])

`;

// After the example: a webhook writes, then the application saves a column, and the whole row that it has in memory.
const saving = `
ActiveRecord::Base.connection.execute('UPDATE seats.subscriptions SET seats = 5')
saved = -> { Subscription.pluck(:status, :seats, :assigned_seats).first }
class Whole < ActiveRecord::Base
  self.table_name = 'seats.subscriptions'
  self.partial_writes = false
end
row = Whole.first
subscription.update!(status: 'past_due')
part = saved.()
row.assigned_seats = 7
row.save!
whole = saved.()
modified_at = row.reload.modified_at
row.modified_at = nil
row.save!

log = StringIO.new
ActiveRecord::Base.logger = Logger.new(log)
begin
  Seats.call('seats.claim_seat($1)', invitation['invitation_token'])
rescue ActiveRecord::StatementInvalid
end
puts JSON.generate(
  invitation: invitation, claim: claim, list: list, allowed: allowed, refused: [code, reason],
  part: part[0, 2], whole: [whole[0], whole[2]],
  unchanged: row.reload.modified_at == modified_at, log: log.string)
`;

test('Rails', async () => {
  const { blocks } = await examples('Rails');
  const shop = await openShop('rails');
  try {
    const { acme, editor, ada } = shop.ids;
    const answer = await runProgram({ 'main.rb': program + blocks.join('\n') + saving },
      '/usr/bin/ruby', ['main.rb', JSON.stringify([acme, editor, ada])], { PGDATABASE: shop.name });
    await check(shop, answer);
    assert.ok(answer.unchanged, 'modified_at stays if nothing changed');
    assert.ok(answer.log.includes(answer.invitation.invitation_token), 'debug logs parameters');
    assert.ok(!(await serverLog()).includes(answer.invitation.invitation_token), 'the server does not');
  } finally {
    await shop.close();
  }
});
