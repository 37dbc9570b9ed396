import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { errorCodeOf } from '../../src/errors.ts';
import { type Page, pageReader, positionAt } from '../../src/log/page.ts';
import type { Position } from '../../src/log/positions/position.ts';
import { registerConsumer } from '../../src/log/positions/progress.ts';
import { savePositions } from '../../src/log/positions/save.ts';
import { type DropOptions, removePartition } from '../../src/log/retention/clean.ts';
import { thinPartition } from '../../src/log/retention/clean-part.ts';
import { readPartitions, shareBefore } from '../../src/log/retention/partitions.ts';
import { emptyDefault, emptyPartition } from '../../src/log/retention/steps.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { seize } from '../helpers/owner.ts';
import { type Attempt, describeVerdict, judge } from '../racing/history.ts';
import { chooseSeed, type Random, seededRandom } from '../racing/random.ts';
import { raceWriters } from '../racing/writers.ts';
import { BLIND_CLEANUP } from '../racing/wrong-cleanup.ts';

/*
Goal: cleanup removes nothing that a consumer has not done, whatever the writers do meanwhile.
Method: racing writers write into the past, as if the days had gone by; consumers read it in random
pages, and forget at random what was not saved; and cleanup runs all the time, on partitions whose
time is over and on the default one. Wrong cleanups must be caught.
*/

const database = useIsolatedServer();
const READERS = 2;
let races = 0;

beforeAll(async () => {
  // Takes the xid first, as every writer of the log must. Ten hours go by per second.
  await database.query(`
    create table race_began (at timestamptz);
    create function write_late(channel text, token text, key text)
      returns void language plpgsql as $$
    declare
      hour integer := floor(
        extract(epoch from clock_timestamp() - (select at from race_began)) * 10
        - random() * 1.3);
    begin
      perform pg_current_xact_id();
      insert into pgwatch.notification_log (xid, created_at, channel, key, payload)
      values (pg_current_xact_id(),
        case when random() < 0.1 then '2000-01-01'
          else '2001-01-01'::timestamptz + hour * interval '1 hour' end,
        channel, key, to_jsonb(token));
    end $$`);
});

/** The past hours in which the writers write. */
async function createHours(durationMs: number): Promise<void> {
  await database.query(`
    do $$
    declare
      starts timestamptz;
    begin
      truncate pgwatch.notification_log;
      for hour in 0..${Math.ceil(durationMs / 100)} loop
        starts := '2001-01-01'::timestamptz + hour * interval '1 hour';
        execute format('create table if not exists pgwatch.hour_%s
          partition of pgwatch.notification_log
          for values from (%L) to (%L)', hour, starts, starts + interval '1 hour');
      end loop;
      delete from race_began;
      insert into race_began values (clock_timestamp());
    end $$`);
}

async function race({ seed, durationMs = 4000 }: { seed: number; durationMs?: number }) {
  const channel = `race_${++races}`;
  await createHours(durationMs);
  const stop = new AbortController();
  setTimeout(() => stop.abort(), durationMs);
  const readers = await Promise.all(
    Array.from({ length: READERS }, (_, index) =>
      startReader(channel, `${channel}_${index}`, seed),
    ),
  );
  const cleaned = cleanAllTheTime(stop.signal, seededRandom(seed));
  const history = await raceWriters({
    url: database.url,
    channel,
    count: 6,
    seed,
    stop: stop.signal,
    publishSql: 'select write_late($1, $2, $3)',
  });
  const removed = await cleaned;
  const deliveries = await Promise.all(readers.map((reader) => reader.finish()));
  await database.query('delete from pgwatch.consumer_progress');
  return { removed, verdicts: deliveries.map((tokens) => judge(history, tokens)), history };
}

/** Reads random pages until it is told to finish, and then to the end. */
async function startReader(channel: string, consumerId: string, seed: number) {
  const client = await database.connect();
  const channels = [channel];
  await registerConsumer(client, 'pgwatch', { id: consumerId, channels, from: 'now' });
  const random = seededRandom(seed + consumerId.length + Number(consumerId.slice(-1)));
  const readPage = pageReader('pgwatch');
  const deliveries: string[] = [];
  let isFinishing = false;
  const run = async () => {
    let { position, ...owned } = await seize(client, { consumerId, channels });
    for (;;) {
      const mayEnd = isFinishing;
      const limit = { rows: 3 + Math.floor(random() * 18), bytes: 1e6 };
      const page = await readPage(client, { channels, limit, rebasedId: 0, position });
      position = work(page, deliveries, random);
      const dice = random();
      if (dice < 0.6) await savePositions(client, 'pgwatch', [{ ...owned, position }]);
      else if (dice < 0.7) ({ position, ...owned } = await seize(client, { consumerId, channels }));
      if (random() < 0.02) await delay(100);
      // An empty page may be the end of a window, with more notifications after it.
      if (mayEnd && page.after === page.before && position === page.before) return;
    }
  };
  const ended = run();
  return {
    async finish() {
      isFinishing = true;
      await ended;
      await client.end();
      return deliveries;
    },
  };
}

/** Settles all of a page, or only its start. */
function work(page: Page, deliveries: string[], random: Random): Position {
  const count = random() < 0.2 ? Math.floor(random() * page.rows.length) : page.rows.length;
  const rows = page.rows.slice(0, count);
  deliveries.push(...rows.map((row) => JSON.parse(row[5] ?? 'null') as string));
  const last = rows.at(-1);
  if (count === page.rows.length) return page.after;
  return last ? positionAt(page, Number(last[0])) : page.before;
}

/** Empties or drops past partitions, and deletes from the default one. Returns the counts. */
async function cleanAllTheTime(stop: AbortSignal, random: Random) {
  const client = await database.connect();
  await client.query('set search_path = pg_catalog, pg_temp');
  const before = new Date('2010-01-01');
  const options: DropOptions = {
    schema: 'pgwatch',
    before,
    needed: 'keep',
    patienceMs: 0,
    dropPatienceMs: 0,
    signal: new AbortController().signal,
  };
  const removed = { emptied: 0, dropped: 0, thinned: 0, rewritten: 0 };
  // On a busy machine it continues with only readers left, until it has removed something.
  const isThrough = () =>
    stop.aborted &&
    removed.emptied + removed.dropped > 5 &&
    removed.thinned + removed.rewritten > 0;
  const endAt = performance.now() + 20_000;
  while (!isThrough() && performance.now() < endAt) {
    for (const partition of await readPartitions(client, 'pgwatch')) {
      const share = shareBefore(partition, before);
      if (share === 'part' && random() < 0.5) {
        removed.rewritten += (await rewriteDefault(client, before)) ? 1 : 0;
      } else if (share === 'part') {
        removed.thinned += (await thinPartition(client, options, partition, () => {})).removed;
      } else if (share === 'all' && (await isFilled(client, partition.name))) {
        if (random() < 0.1) {
          const { type } = await removePartition(client, options, partition);
          if (type === 'dropped') removed.dropped += 1;
        } else if (await isEmptied(client, partition.name, before)) removed.emptied += 1;
      }
    }
    await delay(random() * 5);
  }
  await client.end();
  return removed;
}

type Connection = Awaited<ReturnType<typeof database.connect>>;

/** Empties the default partition up to the lowest position: the rest is written again. */
async function rewriteDefault(client: Connection, before: Date): Promise<boolean> {
  const { rows } = await client.query(
    `select pg_current_snapshot()::text as snapshot,
       coalesce(min(done_id), 0)::text as id from pgwatch.consumer_progress`,
  );
  const { snapshot, id } = rows[0];
  const outcome = await emptyDefault(client, 'pgwatch', { before, upTo: id, snapshot }).catch(
    isLocked,
  );
  return outcome === 'emptied';
}

/** @throws anything else */
function isLocked(thrown: unknown): 'locked' {
  if (errorCodeOf(thrown) !== '55P03') throw thrown;
  return 'locked';
}

async function isFilled(client: Connection, partition: string): Promise<boolean> {
  const { rows } = await client.query('select pg_relation_size(to_regclass($1))::float8 as bytes', [
    `pgwatch.${partition}`,
  ]);
  return rows[0].bytes > 0;
}

async function isEmptied(client: Connection, partition: string, before: Date): Promise<boolean> {
  const target = { partition, before, counted: null };
  return (await emptyPartition(client, 'pgwatch', target).catch(isLocked)) === 'emptied';
}

test('no notification is removed before its consumers have done it', async () => {
  const seed = chooseSeed('cleanup race');
  const { removed, verdicts, history } = await race({ seed, durationMs: 5000 });
  console.log(JSON.stringify(removed));
  for (const verdict of verdicts) {
    console.log(describeVerdict('cleanup', verdict));
    expect(verdict).toMatchObject({ lost: [], phantom: [] });
  }
  // It must have removed a good part, or the test would prove nothing.
  expect(removed.emptied + removed.dropped).toBeGreaterThan(5);
  expect(removed.thinned + removed.rewritten).toBeGreaterThan(0);
  expect(
    history.filter((attempt: Attempt) => attempt.outcome === 'committed').length,
  ).toBeGreaterThan(200);
});

// cleanup-needed.database.test.ts has subtler wrong cleanups.
test('the same race catches a cleanup that ignores what consumers need', async () => {
  const seed = chooseSeed('blind cleanup');
  await database.query(BLIND_CLEANUP);
  let lost = 0;
  for (let round = 0; round < 20 && lost === 0; round++) {
    const { verdicts, removed } = await race({ seed: seed + round, durationMs: 1500 });
    lost = verdicts.reduce((sum, verdict) => sum + verdict.lost.length, 0);
    console.log(`blind: ${lost} lost, ${JSON.stringify(removed)}`);
  }
  expect(lost).toBeGreaterThan(0);
}, 90_000);
