import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
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
Goal: a transaction that calls handlers and saves the position loses no late commit, whenever the daemon
dies.
Method: racing writers; a transactional consumer whose calls take time and fail now and then, and another
one whose notifications move the position meanwhile. Every position that was ever saved is checked against
every notification: a daemon that goes on from it would find those that are not settled.
*/

const database = useIsolatedServer();

async function filed({ query }: Pick<typeof database, 'query'>): Promise<string> {
  const { rows } = await query('select *, clock_timestamp() from pgwatch.delivery limit 5');
  return JSON.stringify(rows);
}

test('whatever is saved while writers race, nothing would be lost, and each effect happens once', async () => {
  const seed = chooseSeed('transaction race');
  const random = seededRandom(seed);
  await database.query('create table effect (place serial, token text)');
  await recordPositions(database);
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
