/*
What a held snapshot does to consumers:  npm run bench -- held [PER_SECOND] [SECONDS]
A steady stream to an owned consumer and to a shared one with two processes, without and with order,
first as usual and then under a snapshot held for SECONDS. It prints the latency from commit to
handler over the last fifth, and what each notification costs: WAL in bytes, including that of
publishing, and dead rows.
*/
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Config } from '../src/config/define.ts';
import { checkConsumer } from '../src/consumers/check.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import { StreamReporter } from '../src/reporter.ts';
import { withServer } from './server.ts';

const [perSecond = 300, seconds = 60] = process.argv.slice(2).map(Number);
const TABLES = `('lease', 'consumer_progress', 'delivery', 'daemon')`;

for (const [name, instances, order] of [
  ['owned', 'one', 'key'],
  ['shared, order none', 'shared', 'none'],
  ['shared, order key', 'shared', 'key'],
] as const) {
  await withServer(
    async (config) => {
      const latencies: number[] = [];
      const sentAt: number[] = [];
      const handle = ({ payload }: { payload: unknown }) =>
        void latencies.push(performance.now() - (sentAt[payload as number] ?? 0));
      const definition = { id: 'c', channels: ['c'], instances, order, handle };
      const consumer = checkConsumer(definition, '/consumers/c.ts', '/consumers');
      const stop = new AbortController();
      const reporter = new StreamReporter({ level: 'error' });
      const count = instances === 'shared' ? 2 : 1;
      const ended = Array.from({ length: count }, () =>
        new Daemon({ config, consumers: [consumer], reporter }).run(stop.signal),
      );
      const publish = publisher(config, sentAt);
      await publish(5);
      for (const isHeld of [false, true]) {
        const holder = new Client({ connectionString: config.url ?? '' });
        await holder.connect();
        if (isHeld) await holder.query('begin isolation level repeatable read; select 1');
        latencies.length = 0;
        const before = await measure(config);
        const sent = await publish(seconds);
        await delay(1000);
        const after = await measure(config);
        const last = latencies.slice(-Math.ceil(latencies.length / 5)).sort((a, b) => a - b);
        const at = (share: number) => (last[Math.floor(last.length * share)] ?? 0).toFixed(1);
        console.log(
          `${name}, ${isHeld ? `snapshot held for ${seconds} s` : 'as usual'}: ` +
            `median ${at(0.5)} ms, p99 ${at(0.99)} ms; ` +
            `${Math.round((after.wal - before.wal) / sent)} B WAL, ` +
            `${((after.dead - before.dead) / sent).toFixed(2)} dead rows a notification`,
        );
        await holder.end();
      }
      stop.abort();
      await Promise.all(ended);
    },
    { autovacuum_naptime: '5s' },
  );
}

/** Publishes for `forSeconds`. Returns the number of notifications. */
function publisher(config: Config, sentAt: number[]) {
  return async (forSeconds: number): Promise<number> => {
    const client = new Client({ connectionString: config.url ?? '' });
    await client.connect();
    await client.query('set pgwatch.notify = doorbell');
    const startedAt = performance.now();
    const total = perSecond * forSeconds;
    for (let n = 0; n < total; n++) {
      const dueMs = startedAt + (n / perSecond) * 1000 - performance.now();
      if (dueMs > 1) await delay(dueMs);
      const number = sentAt.push(performance.now()) - 1;
      const text = `select smart_notify('c', to_jsonb($1::int), 'key ' || $1::int % 1000)`;
      await client.query({ name: 'p', text, values: [number] });
    }
    await client.end();
    return total;
  };
}

async function measure(config: Config): Promise<{ wal: number; dead: number }> {
  const client = new Client({ connectionString: config.url ?? '' });
  await client.connect();
  const { rows } = await client.query(
    `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal, (
       select coalesce(sum(n_tup_upd + n_tup_del), 0)::float8 from pg_stat_user_tables
       where relname in ${TABLES}) as dead`,
  );
  await client.end();
  return rows[0] as { wal: number; dead: number };
}
