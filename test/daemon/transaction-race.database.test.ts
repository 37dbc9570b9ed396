import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { startTailing } from '../helpers/daemon.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import {
  lostByPositions,
  positionsTakenBack,
  recordPositions,
} from '../helpers/saved-positions.ts';
import { until } from '../helpers/wait.ts';
import { describeVerdict, judge } from '../racing/history.ts';
import { chooseSeed, seededRandom } from '../racing/random.ts';
import { raceWriters } from '../racing/writers.ts';

/*
Goal: a transaction that calls handlers and saves the position loses no late commit, whenever the
daemon dies.
Method: racing writers; a transactional consumer whose calls take time and sometimes fail, and
another one whose notifications move the position meanwhile. Every position that was ever saved is
checked against every notification: a daemon that continues from it would find those that are not
settled.
*/

const database = useIsolatedServer();

beforeAll(async () => {
  await database.query('create table effect (place serial, token text)');
  await recordPositions(database);
});

async function filed({ query }: Pick<typeof database, 'query'>): Promise<string> {
  const { rows } = await query('select *, clock_timestamp() from pgwatch.delivery limit 5');
  return JSON.stringify(rows);
}

test('while writers race, no saved position is wrong, and each effect happens once', async () => {
  const seed = chooseSeed('transaction race');
  const random = seededRandom(seed);
  const daemon = await startTailing({ ...database.config, maxBatchSize: 20 }, [
    {
      id: 'c',
      channels: ['race'],
      transaction: true,
      retry: { backoff: () => 1 },
      async handle({ payload }, { db }) {
        await db.query('insert into effect (token) values ($1)', [payload]);
        if (random() < 0.2) await delay(random() * 20);
        if (random() < 0.1) throw new Error('now and then');
      },
    },
    { id: 'other', channels: ['other'], handle: () => {} },
  ]);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 5000);
  const writers = { url: database.url, count: 6, stop: stop.signal };
  const [attempts] = await Promise.all([
    raceWriters({ ...writers, channel: 'race', seed }),
    raceWriters({ ...writers, channel: 'other', seed: seed + 1 }),
  ]);
  const effects = async () =>
    (await database.query('select token from effect order by place')).rows.map(
      ({ token }) => token as string,
    );
  await until(
    'all have their effect',
    async () => {
      const { lost } = judge(attempts, await effects());
      return lost.length === 0 || `lost: ${lost.slice(0, 5)}; filed: ${await filed(database)}`;
    },
    40_000,
  );
  await daemon.stop();
  const verdict = judge(attempts, await effects());
  console.log(describeVerdict('transactional', verdict));
  expect(verdict.committed).toBeGreaterThan(100);
  expect(verdict).toMatchObject({ lost: [], phantom: [], inversions: [], duplicates: 0 });
  expect(await lostByPositions(database, 'race')).toEqual([]);
  expect(await positionsTakenBack(database)).toEqual([]);
}, 90_000);

test('a transaction saves no snapshot that was taken since it began', async () => {
  const gate = Promise.withResolvers<void>();
  let calls = 0;
  let others = 0;
  const daemon = await startTailing(database.config, [
    {
      id: 'slow',
      channels: ['slow'],
      transaction: true,
      retry: { backoff: () => 1 },
      async handle({ payload }) {
        if (payload === 'late') return;
        calls += 1;
        // It is retried by itself, so no page holds the position.
        if (calls === 1) throw new Error('not yet');
        await gate.promise;
      },
    },
    {
      id: 'other',
      channels: ['other'],
      handle() {
        others += 1;
      },
    },
  ]);
  await database.query(`select smart_notify('slow')`);
  await until('it is called again', () => calls === 2);
  const [early, late] = [await database.connect(), await database.connect()];
  await early.query('begin; select pg_current_xact_id()');
  await late.query(`begin; select pg_current_xact_id(); select smart_notify('slow', '"late"')`);
  // A higher id with a lower xid: the next snapshot does not include the late transaction.
  await early.query(`select smart_notify('other'); commit`);
  await until('it is read', () => others === 1);
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  gate.resolve();
  await until('it is settled', async () => {
    return (await database.query('select from pgwatch.delivery')).rowCount === 0;
  });
  await late.query('commit');
  await daemon.stop();
  expect(await lostByPositions(database, 'slow')).toEqual([]);
});
