import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { DeadLetter } from '../../src/consumers/outcome.ts';
import type { Notification } from '../../src/log/notification.ts';
import { startDaemon } from '../helpers/daemon.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { requireNoOrphans } from '../helpers/delivering.ts';
import { until } from '../helpers/wait.ts';
import { size } from '../helpers/whole.ts';

/*
Goal: notifications of one key are handled in order and never concurrently, whatever fails, however
many calls run, and wherever the daemon is stopped and started again.
Method: random keys, failures, concurrency and stops; the calls are recorded and checked at the end.
*/

const database = useDatabase({ maxBatchSize: 7, pollInterval: '10m' });

afterEach(() => emptyLog(database));

type Failures = readonly ('throw' | 'dead')[];

type Plan = {
  /** For each notification: its key, and the failures of its first calls. */
  notifications: { key: string | null; failures: Failures }[];
  concurrency: number;
  /** After how many calls the daemon is stopped and started again. */
  stops: number[];
  transaction: boolean;
};

const FAILURES: Failures[] = [
  ...[[], [], [], []],
  ['throw'],
  ['throw', 'throw'],
  ['throw', 'throw', 'throw'],
  ['dead'],
];

const plans: fc.Arbitrary<Plan> = fc.record({
  notifications: fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', '', null),
      failures: fc.constantFrom(...FAILURES),
    }),
    { minLength: 1, maxLength: 40 },
  ),
  concurrency: fc.integer({ min: 1, max: 8 }),
  stops: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 2 }),
  transaction: fc.boolean(),
});

/** Which calls overlapped, and which notifications succeeded in which order. */
class Record {
  readonly done: number[] = [];
  readonly overlaps: string[] = [];
  calls = 0;
  readonly #plan: Plan;
  readonly #failures: ('throw' | 'dead')[][];
  readonly #running = new Set<string>();

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#failures = plan.notifications.map(({ failures }) => [...failures]);
  }

  async handle(index: number): Promise<void> {
    const key = this.#plan.notifications[index]?.key ?? null;
    if (key !== null && this.#running.has(key)) this.overlaps.push(`${key} at ${index}`);
    if (key !== null) this.#running.add(key);
    this.calls += 1;
    for (let turns = index % 4; turns > 0; turns--) await setImmediate();
    if (key !== null) this.#running.delete(key);
    const failure = this.#failures[index]?.shift();
    if (failure === 'dead') throw new DeadLetter('never');
    if (failure) throw new Error('not yet');
    this.done.push(index);
  }
}

async function run(plan: Plan, order: 'key' | 'none'): Promise<Record> {
  await emptyLog(database);
  const record = new Record(plan);
  const keys = plan.notifications.map(({ key }) => key);
  await database.query(
    `select smart_notify('c', to_jsonb(place - 1), key)
     from unnest($1::text[]) with ordinality as n (key, place)`,
    [keys],
  );
  const definition = {
    id: 'c',
    channels: ['c'],
    order,
    transaction: plan.transaction,
    concurrency: plan.transaction ? 1 : plan.concurrency,
    retry: { backoff: (attempt: number) => attempt % 3 },
    handle: ({ payload }: Notification) => record.handle(payload as number),
  };
  for (const stop of [...plan.stops, Number.POSITIVE_INFINITY]) {
    const daemon = startDaemon(database.config, [definition]);
    const enough = record.calls + stop;
    await until('it has worked', async () => record.calls >= enough || (await isSettled(plan)));
    await daemon.stop();
    await requireNoOrphans(database);
  }
  return record;
}

async function isSettled(plan: Plan): Promise<true | string> {
  const { rows } = await database.query(
    `select done_id >= (select max(id) from pgwatch.notification_log) as is_read,
       array(select notification_id || ' ' || state from pgwatch.delivery) as filed
     from pgwatch.consumer_progress`,
  );
  const dead = plan.notifications.filter(({ failures }) => failures.includes('dead')).length;
  const filed: string[] = rows[0]?.filed ?? [];
  const isThrough = filed.length === dead && filed.every((text) => text.endsWith('dead'));
  return (rows[0]?.is_read && isThrough) || JSON.stringify({ ...rows[0], dead });
}

describe('whatever fails, and wherever the daemon is stopped,', () => {
  test('each notification is done once or dead, each key in order, one at a time', async () => {
    const property = fc.asyncProperty(plans, async (plan) => {
      const { done, overlaps } = await run(plan, 'key');
      const isDone = (index: number) => !plan.notifications[index]?.failures.includes('dead');
      const all = plan.notifications.map((_, index) => index).filter(isDone);
      expect([...done].sort((a, b) => a - b)).toEqual(all);
      expect(overlaps).toEqual([]);
      for (const key of ['a', 'b', 'c', '']) {
        const ofKey = done.filter((index) => plan.notifications[index]?.key === key);
        expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b));
      }
    });
    await fc.assert(property, { numRuns: size(25, 6), endOnFailure: true });
  }, 120_000);

  test("with order: 'none' nothing waits for another, and each is done once or dead", async () => {
    const property = fc.asyncProperty(plans, async (plan) => {
      const { done } = await run(plan, 'none');
      expect(new Set(done).size).toBe(done.length);
      const dead = plan.notifications.filter(({ failures }) => failures.includes('dead')).length;
      expect(done.length).toBe(plan.notifications.length - dead);
    });
    await fc.assert(property, { numRuns: size(10, 2), endOnFailure: true });
  }, 120_000);
});
