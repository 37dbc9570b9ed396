import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { connect } from '../../src/database/connect.ts';
import { startCli } from '../helpers/cli.ts';
import { restartServer, useIsolatedServer } from '../helpers/database.ts';
import { isWhole } from '../helpers/share.ts';
import { until } from '../helpers/wait.ts';
import { chooseSeed, seededRandom } from '../racing/random.ts';

/*
Goal: with every: 'process', each process sees each committed notification once, those of a writer
in order, although connections are cut and the server restarts in between.
*/

const database = useIsolatedServer();
const PROCESSES = 5;
const WRITERS = 4;
const TOTAL = isWhole ? 20_000 : 3000;

test('five processes see everything once, across cut connections and a restart', async () => {
  const random = seededRandom(chooseSeed('every process'));
  const script = fileURLToPath(new URL('every-process-follower.ts', import.meta.url));
  const env = { DATABASE_URL: database.url };
  const command = [process.execPath, script] as const;
  const followers = Array.from({ length: PROCESSES }, () => startCli([], { env, command }));
  await Promise.all(followers.map((each) => each.waitFor('ready')));
  let written = 0;
  let restarts = 0;
  const writing = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let sequence = 0, own = 0; own < TOTAL / WRITERS; ) {
      const size = 1 + Math.floor(random() * 40);
      const isAborted = random() < 0.1;
      const client = await connect({ url: database.url }).catch(() => undefined);
      if (!client) continue;
      try {
        await client.query('begin');
        for (let n = 0; n < size; n += 1) {
          await client.query(`select smart_notify('prices', to_jsonb($1::text))`, [
            `${writer} ${sequence + n}`,
          ]);
        }
        await client.query(isAborted ? 'rollback' : 'commit');
        if (!isAborted) {
          own += size;
          written += size;
        }
      } catch {
        // Its outcome may be unknown: the log tells.
      } finally {
        await client.end().catch(() => {});
      }
      sequence += size;
    }
  });
  const harming = (async () => {
    for (let share = 1; share < 10; share += 1) {
      await until('more is written', () => written >= (share / 10) * TOTAL, 300_000);
      if (share === 5) {
        await database.server.stop();
        await restartServer(database);
        restarts += 1;
        continue;
      }
      await database.query(`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name like 'pgwatch%' and pid <> pg_backend_pid() and random() < 0.7`);
    }
  })();
  await Promise.all([...writing, harming]);
  const { rows } = await database.query(
    "select payload #>> '{}' as text from pgwatch.notification_log",
  );
  const committed = rows.map(({ text }) => text as string).sort();
  expect(committed.length).toBeGreaterThanOrEqual(TOTAL);
  const seenBy = (index: number) =>
    (followers[index]?.stdout ?? '').split('\n').filter((line) => /^\d+ \d+$/.test(line));
  await until(
    'each has seen as many',
    () => followers.every((_, index) => seenBy(index).length >= committed.length),
    60_000,
  );
  for (const index of followers.keys()) {
    const seen = seenBy(index);
    for (let writer = 0; writer < WRITERS; writer += 1) {
      const own = seen.map((line) => line.split(' ').map(Number)).filter(([by]) => by === writer);
      expect(own).toEqual(own.toSorted(([, a = 0], [, b = 0]) => a - b));
    }
    expect(seen.toSorted()).toEqual(committed);
  }
  expect(restarts).toBe(1);
}, 400_000);
