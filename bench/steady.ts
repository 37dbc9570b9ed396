/*
The latency of a steady stream, commit to handler:  npm run bench -- steady [PER_SECOND] [SECONDS]
Sixteen publishers in this process, one notification per transaction, in doorbell mode. The clock
starts when a publisher has its answer.
*/
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { checkConsumer } from '../src/consumers/check.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import { StreamReporter } from '../src/reporter.ts';
import { withServer } from './server.ts';

const [perSecond = 5000, seconds = 10] = process.argv.slice(2).map(Number);
const PUBLISHERS = 16;
await withServer(async (config) => {
  const answeredAt: number[] = [];
  const handledAt: number[] = [];
  const handle = ({ payload }: { payload: unknown }) => {
    handledAt[payload as number] = performance.now();
  };
  const consumer = checkConsumer(
    { id: 'c', channels: ['c'], handle },
    '/consumers/c.ts',
    '/consumers',
  );
  const stop = new AbortController();
  const reporter = new StreamReporter({ level: 'error' });
  const ended = new Daemon({ config, consumers: [consumer], reporter }).run(stop.signal);
  const total = perSecond * seconds;
  let next = 0;
  const startedAt = performance.now() + 1000;
  const publish = async () => {
    const client = new Client({ connectionString: config.url ?? '' });
    await client.connect();
    await client.query('set pgwatch.notify = doorbell');
    for (let n = next++; n < total; n = next++) {
      const dueMs = startedAt + (n / perSecond) * 1000 - performance.now();
      if (dueMs > 1) await delay(dueMs);
      await client.query({
        name: 'p',
        text: `select smart_notify('c', to_jsonb($1::int))`,
        values: [n],
      });
      answeredAt[n] = performance.now();
    }
    await client.end();
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));
  const tookSeconds = (performance.now() - startedAt) / 1000;
  while (handledAt.filter(Boolean).length < total) await delay(20);
  const latencies = answeredAt.map((at, n) => (handledAt[n] ?? 0) - at).sort((a, b) => a - b);
  const at = (share: number) => (latencies[Math.floor(total * share)] ?? 0).toFixed(1);
  console.log(
    `${Math.round(total / tookSeconds)}/s for ${tookSeconds.toFixed(1)} s: ` +
      `median ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(0.99999)} ms`,
  );
  stop.abort();
  await ended;
});
