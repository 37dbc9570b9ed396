import { describe, expect, test } from 'vitest';
import { useIsolatedServer } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';
import { describeVerdict, judge, type Verdict } from '../racing/history.ts';
import { KilledDaemon } from '../racing/killed-daemon.ts';
import { chooseSeed, seededRandom } from '../racing/random.ts';
import { raceWriters } from '../racing/writers.ts';

/*
Goal: the whole daemon loses nothing while writers race and it is killed.
Method: 24 writers with rollbacks, savepoints and held transactions; a daemon with pages of 20 that is
killed (-9) and whose connections are terminated. The writers' outcomes and the handler's calls are
recorded outside of the database and compared. With a wrong reader the same run must fail.
*/

const database = useIsolatedServer();

async function race(reader: string, durationMs: number, seed: number): Promise<Verdict> {
  const daemon = new KilledDaemon(database.url, reader);
  const stop = new AbortController();
  try {
    daemon.start();
    await until('the consumer is there', async () => {
      const { rows } = await database.query(
        'select from pgwatch.consumer_progress where owner is not null',
      );
      return rows.length > 0 ? true : 'it has no row';
    });
    setTimeout(() => stop.abort(), durationMs);
    const tormented = daemon.torment(seededRandom(seed), stop.signal);
    const attempts = await raceWriters({
      url: database.url,
      channel: 'race',
      count: 24,
      seed,
      stop: stop.signal,
    });
    await tormented;
    // Once a notification that was written last has arrived at the tail, so has all before it.
    await database.query(`select smart_notify('race', '"end/1"', 'end')`);
    await until(
      'the last one is delivered',
      () => daemon.deliveries.includes('end/1') || 'it is not',
    );
    const isDrained = () =>
      judge(attempts, daemon.deliveries).lost.length === 0 || 'some are missing';
    await until('all are delivered', isDrained, 5000).catch(() => {});
    const verdict = judge(
      [...attempts, { token: 'end/1', outcome: 'committed' }],
      daemon.deliveries,
    );
    const faults = `${daemon.faults.kills} × kill -9, ${daemon.faults.terminations} × terminated`;
    console.log(describeVerdict(`${reader} (${faults})`, verdict));
    return verdict;
  } finally {
    stop.abort();
    await daemon.stop();
    await database.query('delete from pgwatch.consumer_progress');
  }
}

test('24 racing writers and a daemon that is killed: nothing is lost, nothing aborted is delivered', async () => {
  const verdict = await race('difference of snapshots', 15_000, chooseSeed('racing writers'));
  expect(verdict.committed).toBeGreaterThan(1000);
  expect(verdict).toMatchObject({ lost: [], phantom: [], inversions: [] });
}, 60_000);

describe('the same run catches a reader of', () => {
  test.each(['id > cursor', 'id > cursor and xid < xmin', 'rows and snapshot in two statements'])(
    '%s',
    async (reader) => {
      const verdict = await race(reader, 4000, chooseSeed(reader));
      expect(verdict.lost.length).toBeGreaterThan(0);
    },
    60_000,
  );
});
