/*
How processes share one consumer:  npm run bench -- shared [TOTAL] [HANDLER_MS]
A backlog of TOTAL notifications over 10,000 keys is processed by one process, by four, and by four
of which two are killed with SIGKILL midway. Every process appends what it handles to a file, the
record outside the database. With HANDLER_MS each handler waits that long, ten at a time in each
process.
*/
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Config } from '../src/config/define.ts';
import { withConnection } from '../src/database/connect.ts';
import { withServer } from './server.ts';

const [total = 200_000, handlerMs = 0] = process.argv.slice(2).map(Number);
const script = fileURLToPath(new URL('shared-process.ts', import.meta.url));

for (const [count, killed] of [
  [1, 0],
  [4, 0],
  [4, 2],
] as const) {
  await withServer(async (config) => {
    await withConnection(config, async (client) => {
      await client.query('set pgwatch.notify = off');
      await client.query(
        `select count(smart_notify('c', to_jsonb(n), 'key:' || n % 10000))
          from generate_series(1, $1::int) as n`,
        [total],
      );
      await client.query('vacuum analyze pgwatch.notification_log');
    });
    const folder = mkdtempSync(join(tmpdir(), 'pgwatch-shared-'));
    const file = join(folder, 'handled');
    writeFileSync(file, '');
    const startedAt = performance.now();
    const processes = Array.from({ length: count }, () =>
      spawn(process.execPath, [script, config.url ?? '', file, String(handlerMs)], {
        stdio: 'inherit',
      }),
    );
    for (const child of processes.slice(0, killed)) {
      await untilHandled(file, (total * (processes.indexOf(child) + 1)) / 4);
      child.kill('SIGKILL');
    }
    await untilDone(config, file);
    const seconds = (performance.now() - startedAt) / 1000;
    await Promise.all(processes.slice(killed).map(stop));
    const handled = numbersIn(file);
    const different = new Set(handled).size;
    console.log(
      `${count} process${count > 1 ? 'es' : ''}${killed ? `, ${killed} killed` : ''}: ` +
        `${total} in ${seconds.toFixed(1)} s, ${Math.round(total / seconds)}/s; ` +
        `lost ${total - different}, twice ${handled.length - different}`,
    );
    rmSync(folder, { recursive: true });
  });
}

async function untilHandled(file: string, lines: number): Promise<void> {
  while (numbersIn(file).length < lines) await delay(50);
}

/** Everything is handled, and no lease is left. */
async function untilDone(config: Config, file: string): Promise<void> {
  for (let isDone = false; !isDone; ) {
    await delay(50);
    if (numbersIn(file).length < total) continue;
    const { rows } = await withConnection(config, (client) =>
      client.query(
        `select (select count(*) from pgwatch.lease) = 0 and done_id >= $1
        and window_id is null as is_done from pgwatch.consumer_progress`,
        [total],
      ),
    );
    isDone = (rows[0] as { is_done: boolean }).is_done;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

function numbersIn(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n').slice(0, -1);
}
