/*
What failures cost notifications that do not fail:
  npm run bench -- failures [TOTAL] [PER_SECOND]
A steady stream of TOTAL notifications over 5,000 keys, first without failures, then with a handler
that always throws for one in a hundred. It prints the latency, commit to handler, of keys without
failures. It also checks that every other notification is handled once and each failing one becomes
a dead letter after its attempts.
*/
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { checkConsumer } from '../src/consumers/check.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import { withConnection } from '../src/database/connect.ts';
import type { Notification } from '../src/log/notification.ts';
import { StreamReporter } from '../src/reporter.ts';
import { describeLatencies } from '../test/helpers/latency.ts';
import { withServer } from './server.ts';

const [total = 100_000, perSecond = 3000] = process.argv.slice(2).map(Number);
const PUBLISHERS = 8;
const KEYS = 5000;
const ATTEMPTS = 3;

const isFailing = (n: number) => (Math.imul(n, 2_654_435_761) >>> 0) % 100 === 0;
const numbers = Array.from({ length: total }, (_, n) => n);
const failingKeys = new Set(numbers.filter(isFailing).map((n) => n % KEYS));

for (const hasFailures of [false, true])
  await withServer(async (config) => {
    const answeredAt: number[] = [];
    const handledAt: number[] = [];
    const counts = new Uint8Array(total);
    const consumer = checkConsumer(
      {
        id: 'c',
        channels: ['c'],
        retry: { attempts: ATTEMPTS, backoff: '200ms' },
        handle({ payload }: Notification) {
          const n = payload as number;
          if (hasFailures && isFailing(n)) throw new Error('no');
          handledAt[n] = performance.now();
          counts[n] = (counts[n] ?? 0) + 1;
        },
      },
      '/consumers/c.ts',
      '/consumers',
    );
    const stop = new AbortController();
    const stream = { write: () => true } as unknown as NodeJS.WriteStream;
    const reporter = new StreamReporter({ level: 'error', stream });
    const ended = new Daemon({ config, consumers: [consumer], reporter }).run(stop.signal);
    await publishSteadily(config.url ?? '', answeredAt);
    const expected = hasFailures ? numbers.filter((n) => !isFailing(n)).length : total;
    const dead = async () =>
      withConnection(config, async (client) => {
        const { rows } = await client.query(
          `select count(*) filter (where state = 'dead' and attempts = ${ATTEMPTS}
             and last_error ->> 'message' = 'no')::int as dead,
           count(*)::int as filed from pgwatch.delivery`,
        );
        return rows[0] as { dead: number; filed: number };
      });
    for (let isDone = false; !isDone; ) {
      await delay(200);
      const { dead: deadCount, filed } = await dead();
      isDone =
        counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0) === expected &&
        filed === deadCount;
    }
    const healthy = numbers.filter((n) => !failingKeys.has(n % KEYS));
    const latencies = healthy.map((n) => (handledAt[n] ?? 0) - (answeredAt[n] ?? 0));
    const twice = counts.filter((count) => count > 1).length;
    const { dead: deadCount } = await dead();
    console.log(
      `${hasFailures ? '1 % fails' : 'no failure'}: ${expected} done, ${twice} twice, ` +
        `${deadCount} dead of ${total - expected}; ${describeLatencies('healthy keys', latencies)}`,
    );
    stop.abort();
    await ended;
  });

async function publishSteadily(url: string, answeredAt: number[]): Promise<void> {
  let next = 0;
  const startedAt = performance.now() + 1000;
  const publish = async () => {
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query('set pgwatch.notify = doorbell');
    for (let n = next++; n < total; n = next++) {
      const dueMs = startedAt + (n / perSecond) * 1000 - performance.now();
      if (dueMs > 1) await delay(dueMs);
      const text = `select smart_notify('c', to_jsonb($1::int), 'key:' || $2::int)`;
      await client.query({ name: 'p', text, values: [n, n % KEYS] });
      answeredAt[n] = performance.now();
    }
    await client.end();
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));
}
