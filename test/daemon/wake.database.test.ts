import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { armDoorbell } from '../../src/log/doorbell.ts';
import { startTailing, type TestDaemon } from '../helpers/daemon.ts';
import { useIsolatedServer } from '../helpers/database.ts';
import { describeLatencies } from '../helpers/latency.ts';
import { until } from '../helpers/wait.ts';
import { size } from '../helpers/whole.ts';
import { chooseSeed, seededRandom } from '../racing/random.ts';

/*
Goal: a notification wakes a sleeping daemon, whenever it comes; polling is never what finds it.
Method: the poll interval is a minute, so a missed wake delays a notification by a minute. The test
uses its own server, because the daemon does not sleep while a transaction is open anywhere in the
cluster.
*/

// Other files of this process have loaded the mocked module, and need it unmocked.
vi.hoisted(() => vi.resetModules());
afterAll(() => vi.resetModules());

// Behaves as usual unless a test replaces it.
vi.mock('../../src/log/doorbell.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/log/doorbell.ts')>();
  return { ...original, armDoorbell: vi.fn(original.armDoorbell) };
});

const database = useIsolatedServer();
let daemon: TestDaemon | undefined;

afterEach(async () => {
  vi.mocked(armDoorbell).mockReset();
  await daemon?.stop();
  daemon = undefined;
  await database.query('delete from pgwatch.consumer_progress');
});

/** A daemon whose consumer records how long after `sentAt` each notification arrived. */
async function startTimed(
  more = 0,
): Promise<{ sentAt: Map<number, number>; latenciesMs: number[] }> {
  const sentAt = new Map<number, number>();
  const latenciesMs: number[] = [];
  daemon = await startTailing({ ...database.config, pollIntervalMs: 60_000 }, [
    {
      id: 'timed',
      channels: ['wake', ...Array.from({ length: more }, (_, n) => `other ${n}`)],
      from: 'now',
      handle: ({ payload }) =>
        latenciesMs.push(performance.now() - (sentAt.get(payload as number) ?? 0)),
    },
  ]);
  return { sentAt, latenciesMs };
}

const PUBLISH = `select set_config('pgwatch.notify', $2, false),
  smart_notify('wake', to_jsonb($1::int))`;

const MOMENTS = size(10_000, 1500);

test('notifications at random moments all arrive, long before the next poll', async () => {
  const random = seededRandom(chooseSeed('random moments'));
  const { sentAt, latenciesMs } = await startTimed();
  const clients = await Promise.all([1, 2, 3, 4].map(() => database.connect()));
  let next = 0;
  // Bursts and pauses make the daemon fall asleep and wake up hundreds of times.
  while (next < MOMENTS) {
    const burst = Math.min(MOMENTS - next, 1 + Math.floor(random() ** 3 * 200));
    const end = next + burst;
    const publishing = clients.map(async (client) => {
      while (next < end) {
        const token = next++;
        sentAt.set(token, performance.now());
        await client.query(PUBLISH, [token, random() < 0.8 ? 'doorbell' : 'always']);
        if (random() < 0.2) await delay(random() * 4);
      }
    });
    await Promise.all(publishing);
    await delay(random() * 120);
  }
  await until(
    'all have arrived',
    () => latenciesMs.length === MOMENTS || `${latenciesMs.length} have`,
  );
  const naps = daemon?.transitions.seen.filter(({ type }) => type === 'asleep').length ?? 0;
  console.log(describeLatencies(`random moments (asleep ${naps} times)`, latenciesMs));
  expect(naps).toBeGreaterThan(1);
  expect(Math.max(...latenciesMs)).toBeLessThan(1000);
}, 120_000);

const SINGLE = size(300, 60);

test('each single notification wakes a sleeping daemon', async () => {
  const { sentAt, latenciesMs } = await startTimed();
  const client = await database.connect();
  await daemon?.transitions.for({ type: 'asleep' });
  for (let token = 0; token < SINGLE; token++) {
    sentAt.set(token, performance.now());
    await client.query(PUBLISH, [token, 'doorbell']);
    await until('it has arrived', () => latenciesMs.length === token + 1);
  }
  console.log(describeLatencies('idle', latenciesMs));
  expect(latenciesMs).toHaveLength(SINGLE);
});

/**
 * A writer looks while no daemon sleeps, and commits long after the daemon wanted to sleep.
 * @param arm how the daemon takes the doorbell's locks after the writer has looked
 */
async function publishAcrossFallingAsleep(
  holdMs: number,
  arm: typeof armDoorbell,
): Promise<number> {
  let [isLooking, refused] = [true, 0];
  vi.mocked(armDoorbell).mockImplementation(async (...args) => {
    if (!isLooking) return arm(...args);
    refused += 1;
    return null;
  });
  const { sentAt, latenciesMs } = await startTimed();
  const writer = await database.connect();
  await until('the daemon is kept awake', () => refused > 0);
  await writer.query('begin');
  await writer.query(PUBLISH, [0, 'doorbell']);
  isLooking = false;
  await delay(holdMs);
  latenciesMs.length = 0;
  sentAt.set(0, performance.now());
  await writer.query('commit');
  await until('it arrives', () => latenciesMs.length === 1, 3000);
  return latenciesMs[0] ?? Number.POSITIVE_INFINITY;
}

describe('a writer that found no daemon asleep and commits later', async () => {
  const { armDoorbell: arm } = await vi.importActual<typeof import('../../src/log/doorbell.ts')>(
    '../../src/log/doorbell.ts',
  );

  test('is noticed, because the daemon does not sleep before the writer has ended', async () => {
    const latencyMs = await publishAcrossFallingAsleep(1000, arm);
    console.log(`a held writer: ${latencyMs.toFixed(2)} ms`);
    expect(latencyMs).toBeLessThan(1000);
  });

  test('is missed by a daemon that sleeps as soon as it has the locks', async () => {
    const wrong: typeof arm = async (...args) => ((await arm(...args)) === null ? null : 0n);
    await expect(publishAcrossFallingAsleep(1000, wrong)).rejects.toThrow(
      'waiting until it arrives',
    );
  });
});

test('with too many channels for locks the daemon reads several times a second', async () => {
  const { sentAt, latenciesMs } = await startTimed(300);
  for (let n = 0; n < 3; n++) {
    sentAt.set(n, performance.now());
    await database.query(PUBLISH, [n, 'doorbell']);
    await until('it is read', () => latenciesMs.length > n);
    expect(latenciesMs[n]).toBeLessThan(1500);
  }
  const { rowCount } = await database.query(
    `select from pg_locks where locktype = 'advisory'
       and classid = (pgwatch.doorbell_class()::bigint & 4294967295)::oid`,
  );
  expect(rowCount).toBe(0);
  expect(daemon?.transitions.seen.map(({ type }) => type)).not.toContain('asleep');
});

test('an exclusive lock on a doorbell keeps the daemon awake, and nothing waits', async () => {
  const blocker = await database.connect();
  await blocker.query(`select pg_advisory_lock(pgwatch.doorbell_class(), hashtext('wake'))`);
  const { sentAt, latenciesMs } = await startTimed();
  sentAt.set(1, performance.now());
  await database.query(PUBLISH, [1, 'off']);
  await until('it is read without a ring', () => latenciesMs.length === 1);
  expect(latenciesMs[0]).toBeLessThan(1000);
  expect(daemon?.transitions.seen.map(({ type }) => type)).not.toContain('asleep');
});
