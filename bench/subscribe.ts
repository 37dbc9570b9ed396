/*
Whether subscribe() is as fast as a handler, with an insert each and with no work, and whether its
memory grows. The two take turns:
  npm run bench -- subscribe [ROWS] [MANY]
*/
import { Pool } from 'pg';
import { withConnection } from '../src/database/connect.ts';
import { createPgwatch, type Pgwatch } from '../src/index.ts';
import { SILENT } from '../src/testing/silent.ts';
import { median } from './numbers.ts';
import { withServer } from './server.ts';

const [rows = 10_000, many = 1_000_000] = process.argv.slice(2).map(Number);
const ROUNDS = 20;
const CONCURRENCY = 10;

type Payload = { n: number };
/** Runs a consumer over a number of notifications, and returns the time per notification, in µs. */
type Way = (pgwatch: Pgwatch, asked: Asked) => Promise<number>;
type Asked = { id: string; count: number; work(payload: Payload): unknown };

const handle: Way = async (pgwatch, { id, count, work }) => {
  const done = Promise.withResolvers<void>();
  let handled = 0;
  const startedAt = performance.now();
  const listening = await pgwatch.listen([
    {
      id,
      channels: ['c'],
      concurrency: CONCURRENCY,
      async handle({ payload }) {
        await work(payload as Payload);
        handled += 1;
        if (handled === count) done.resolve();
      },
    },
  ]);
  await done.promise;
  const took = performance.now() - startedAt;
  await listening.stop();
  return (took * 1000) / count;
};

const subscribe: Way = async (pgwatch, { id, count, work }) => {
  const done = Promise.withResolvers<void>();
  let handled = 0;
  const startedAt = performance.now();
  const options = { consumer: id, channels: ['c'], concurrency: CONCURRENCY };
  const subscription = pgwatch.subscribe<Payload>(options);
  const looping = (async () => {
    for await (const delivery of subscription) {
      void (async () => {
        await work(delivery.payload);
        await delivery.ack();
        handled += 1;
        if (handled === count) done.resolve();
      })();
    }
  })();
  await done.promise;
  const took = performance.now() - startedAt;
  await subscription.stop();
  await looping;
  return (took * 1000) / count;
};

const fastest = (figures: readonly number[]) => Math.min(...figures);

await withServer(async (config) => {
  const url = config.url ?? '';
  const reporter = { ...SILENT, error: console.error };
  const pgwatch = createPgwatch({ url, reporter, pollInterval: '60s' });
  const pool = new Pool({ connectionString: url, max: CONCURRENCY });
  // Its connections end with the server.
  pool.on('error', () => {});
  await pool.query('create table effect (n int)');

  async function publish(count: number): Promise<void> {
    await withConnection(config, async (client) => {
      await client.query('truncate pgwatch.notification_log, effect; set pgwatch.notify = off');
      await client.query(
        `select count(smart_notify('c', jsonb_build_object('n', n), 'key ' || n))
         from generate_series(1, $1::int) as n`,
        [count],
      );
      await client.query('vacuum analyze pgwatch.notification_log');
    });
  }

  async function compare(what: string, work: Asked['work']): Promise<void> {
    const took: { handle: number[]; subscribe: number[] } = { handle: [], subscribe: [] };
    await publish(rows);
    for (let round = 0; round < ROUNDS; round += 1) {
      const ways = Object.entries({ handle, subscribe });
      // Each goes first in every other round.
      for (const [name, way] of round % 2 === 0 ? ways : ways.reverse()) {
        await pool.query('truncate effect');
        const id = `${name}_${what.replaceAll(' ', '_')}_${round}`;
        const each = await way(pgwatch, { id, count: rows, work });
        took[name as keyof typeof took].push(each);
      }
    }
    for (const [figure, of] of [
      ['median', median],
      ['fastest', fastest],
    ] as const) {
      const [a, b] = [of(took.handle), of(took.subscribe)];
      console.log(
        `${what}, ${figure} of ${ROUNDS}: handle ${a.toFixed(1)} µs, ` +
          `subscribe ${b.toFixed(1)} µs per notification, ratio ${(b / a).toFixed(2)}`,
      );
    }
  }
  await compare('an insert', ({ n }) => pool.query('insert into effect values ($1)', [n]));
  await compare('no work', () => {});

  await publish(many);
  const heap: number[] = [];
  let seen = 0;
  const work = () => {
    seen += 1;
    if (seen % (many / 10) !== 0) return;
    globalThis.gc?.();
    heap.push(process.memoryUsage().heapUsed / 2 ** 20);
  };
  await subscribe(pgwatch, { id: 'memory', count: many, work });
  const sizes = heap.map((size) => size.toFixed(0)).join(' ');
  console.log(`heap in MB after each tenth of ${many}: ${sizes}`);
  await pgwatch.close();
  await pool.end();
});
