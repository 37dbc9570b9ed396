import { expect, test } from 'vitest';
import { connect } from '../../src/database/connect.ts';
import { useDatabase } from '../helpers/database.ts';
import { diagnose } from '../helpers/doctor.ts';
import { createRole } from '../helpers/role.ts';

const database = useDatabase();

test.each([
  [
    'a shared consumer',
    `pg_advisory_lock(hashtextextended('pgwatch shared pgwatch c', 0))`,
    'problem',
    'the work of shared consumer c',
  ],
  [
    'the doorbell',
    `pg_advisory_lock(hashtext('pgwatch doorbell pgwatch'), hashtext('ch'))`,
    'problem',
    'the doorbell of channel ch',
  ],
  ['cleanup', 'pg_advisory_lock(pgwatch.cleanup_key())', 'note', 'cleanup'],
  [
    'migrations',
    `pg_advisory_lock(hashtextextended('pgwatch migrate pgwatch', 0))`,
    'note',
    'migrations',
  ],
])('the session that holds the lock of %s is named', async (_, lock, level, what) => {
  await database.query(
    `insert into pgwatch.consumer_progress (consumer_id, channels, done_id, done_snapshot,
      is_shared)
     values ('c', '{ch}', 0, '1:1:', true) on conflict do nothing`,
  );
  const role = await createRole(database, 'stranger');
  if (what === 'cleanup')
    await database.query(
      `grant usage on schema pgwatch to "${role.name}";
        grant execute on function pgwatch.cleanup_key() to "${role.name}"`,
    );
  const client = await connect({ url: role.url });
  await client.query(`select ${lock}`);
  const { findings } = await diagnose(database.config, 'advisory-locks', { lockMs: 0 });
  await client.end();
  expect(findings).toEqual([
    expect.objectContaining({
      level,
      what: expect.stringMatching(
        new RegExp(
          `^The advisory lock for ${what} is held by pid \\d+ .*of role ${role.name}, idle`,
        ),
      ),
    }),
  ]);
});
