// What docs/frameworks.md says of Django, in a project with one application.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, examples, openShop, runProgram, serverLog } from './lib/page.mjs';

const models = `
import uuid
from django.db import connection, models

`;

const program = `
import io, json, os, sys
import django
from django.conf import settings
from django.core.management import call_command
settings.configure(
    INSTALLED_APPS=['shop'], USE_TZ=True, DEFAULT_AUTO_FIELD='django.db.models.BigAutoField',
    DATABASES={'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': os.environ['PGDATABASE'],
                           'HOST': os.environ['PGHOST'], 'USER': 'backend'}})
django.setup()
from django.db import DatabaseError, connection, transaction
from shop.models import Subscription, call
acme, editor, ada = json.loads(sys.argv[1])

`;

// After the example: a webhook writes, then the application saves a column, and the whole row that it has in memory.
const saving = `

def saved():
    return [subscription.status, *Subscription.objects.values_list('seats', 'assigned_seats').get()]

with connection.cursor() as cursor:
    cursor.execute('UPDATE seats.subscriptions SET seats = 5')
subscription.status = 'past_due'
subscription.save(update_fields=['status'])
part = saved()
subscription.status = 'active'
subscription.assigned_seats = 7
subscription.save()
whole = saved()
subscription.refresh_from_db()
modified_at = subscription.modified_at
subscription.modified_at = None
subscription.save()
subscription.refresh_from_db()
with transaction.atomic():
    try:
        with transaction.atomic():
            call('seats.claim_seat(%s)', invitation['invitation_token'])
    except DatabaseError:
        pass
    Subscription.objects.get()
call_command('makemigrations', 'shop', stdout=io.StringIO())
migration = io.StringIO()
call_command('sqlmigrate', 'shop', '0001', stdout=migration)
print(json.dumps({
    'invitation': invitation, 'claim': claim, 'list': seats_list, 'allowed': allowed,
    'refused': [refused.pgcode, refused.diag.message_detail],
    'part': part[:2], 'whole': [whole[0], whole[2]],
    'unchanged': subscription.modified_at == modified_at, 'migration': migration.getvalue()}))
`;

test('Django', async () => {
  const { blocks: [model, calls] } = await examples('Django');
  const shop = await openShop('django');
  try {
    const { acme, editor, ada } = shop.ids;
    const answer = await runProgram(
      { 'shop/__init__.py': '', 'shop/models.py': models + model, 'main.py': program + calls + saving },
      '/usr/bin/python3', ['main.py', JSON.stringify([acme, editor, ada])], { PGDATABASE: shop.name });
    await check(shop, answer);
    assert.ok(answer.unchanged, 'modified_at stays if nothing changed');
    assert.ok((await serverLog()).includes(answer.invitation.invitation_token), 'the server logs parameters');
    assert.ok(!/^[^-\n]*seats/m.test(answer.migration), `migrations leave the tables alone: ${answer.migration}`);
  } finally {
    await shop.close();
  }
});
