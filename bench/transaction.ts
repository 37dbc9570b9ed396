/*
How fast a consumer with transaction: true processes a backlog, one statement per call:
  npm run bench -- transaction [COUNT] [STATEMENTS]
On a busy machine the figure to compare is the one of the fastest 50 calls.
*/
import { setTimeout as delay } from 'node:timers/promises';
import { checkConsumer } from '../src/consumers/check.ts';
import type { ConsumerContext } from '../src/consumers/define.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import { withConnection } from '../src/database/connect.ts';
import { StreamReporter } from '../src/reporter.ts';
import { withServer } from './server.ts';

const [count = 5000, statements = 1] = process.argv.slice(2).map(Number);
const INSERT = 'insert into public.effect values ($1, $2)';
await withServer(async (config) => {
  const query = (text: string, values?: unknown[]) =>
    withConnection(config, (client) => client.query(text, values));
  await query('create table effect (id bigint, n integer)');
  await query(
    `select smart_notify('c', to_jsonb(n), 'k' || n % 100) from generate_series(1, $1::int) as n`,
    [count],
  );
  const at: number[] = [];
  const handle = async ({ id }: { id: number }, { db }: ConsumerContext) => {
    for (let n = 0; n < statements; n++) await db.query(INSERT, [id, n]);
    at.push(performance.now());
  };
  const definition = { id: 'c', channels: ['c'], transaction: true, handle };
  const consumer = checkConsumer(definition, '/consumers/c.ts', '/consumers');
  const stop = new AbortController();
  const reporter = new StreamReporter({ level: 'error' });
  const ended = new Daemon({ config, consumers: [consumer], reporter }).run(stop.signal);
  while (at.length < count) await delay(10);
  const every50 = at.filter((_, n) => n % 50 === 0);
  const fastestMs = Math.min(...every50.slice(1).map((time, n) => time - (every50[n] ?? 0)));
  const tookMs = (at.at(-1) ?? 0) - (at[0] ?? 0);
  console.log(
    `${Math.round((count / tookMs) * 1000)}/s; the fastest 50 at ` +
      `${Math.round(50_000 / fastestMs)}/s`,
  );
  stop.abort();
  await ended;
});
