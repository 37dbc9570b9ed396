import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { withConnection } from '../../src/database/connect.ts';
import { resumeConsumer } from '../../src/log/by-hand/pause.ts';
import type { Attempt } from './history/history.ts';
import { RecordReader } from './history/record.ts';
import type { World } from './world.ts';

/** A dump of a round's database, and what had been committed when it began. */
export type Dump = { file: string; committed: readonly string[] };

/** Dumps the whole database with pg_dump. */
export async function dump(world: World, binaries: string, number: number): Promise<Dump> {
  const attempts = new RecordReader<Attempt>(join(world.folder, 'attempts.jsonl')).refresh();
  const committed = attempts.filter(({ outcome }) => outcome === 'committed');
  const file = join(world.folder, `dump-${number}.sql`);
  await run(join(binaries, 'bin', 'pg_dump'), ['--file', file, world.url]);
  world.count('dump');
  return { file, committed: committed.map(({ token }) => token) };
}

/**
 * Restores a dump into a database of its own and runs a daemon on it until nothing more comes.
 * @returns what each consumer never got, or got twice although it promises once
 */
export async function tryDump(world: World, binaries: string, made: Dump): Promise<string[]> {
  const name = await world.server.createEmptyDatabase();
  const url = world.server.urlOf(name);
  const folder = `${made.file}-daemon`;
  mkdirSync(folder);
  await run(join(binaries, 'bin', 'psql'), ['-q', '-v', 'ON_ERROR_STOP=1', '-f', made.file, url]);
  await withConnection({ url }, async (client) => {
    for (const { id } of world.consumers) {
      await resumeConsumer(client, 'pgwatch', { consumerId: id });
    }
  });
  const daemon = world.addDaemon(() => ({ url, folder }));
  const quietMax = world.isMutant ? 5000 : 40_000;
  let wrong = await findWrong(world, url, made);
  for (let quietSince = performance.now(); wrong.length > 0; ) {
    await delay(200);
    const now = await findWrong(world, url, made);
    if (now.length !== wrong.length) quietSince = performance.now();
    wrong = now;
    if (performance.now() - quietSince > quietMax) break;
  }
  await daemon.stop();
  await world.server.dropDatabase(name);
  world.count('dump restored');
  return wrong.map((text) => `restored: ${text}`);
}

async function findWrong(world: World, url: string, { committed }: Dump): Promise<string[]> {
  return withConnection({ url }, async (client) => {
    const found: string[] = [];
    for (const { id, promised } of world.consumers) {
      const { rows } = await client.query<{ text: string }>(WRONG_SQL, [
        id,
        committed,
        promised.effects === 'exactly once',
      ]);
      found.push(...rows.map(({ text }) => text));
    }
    return found;
  });
}

/** For consumer $1 and tokens $2; $3 is true if each must have exactly one effect. */
const WRONG_SQL = `
select format('%s: %s', $1::text, token) as text
from unnest($2::text[]) as token
where not exists (
  select from torture.effect where effect.consumer = $1 and effect.token = token.token)
union all
select format('%s: %s came %s times', $1::text, token, count(*))
from torture.effect where consumer = $1 and $3::boolean
group by token having count(*) > 1`;

const run = promisify(execFile);
