import { afterEach, beforeAll, expect, test } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { requireNoOrphans } from '../helpers/delivering.ts';
import { makeProject } from '../helpers/project.ts';
import { until } from '../helpers/wait.ts';

/*
Goal: a notification that kills its process ends in the dead letters, and harms no other.
Method: the daemon in a process of its own that is started again whenever it has died, as a supervisor
does.
*/

const database = useDatabase();
const ATTEMPTS = 3;

beforeAll(() => database.query('create table effect (place serial, payload text)'));

afterEach(async () => {
  await database.query('truncate effect');
  await emptyLog(database);
});

/** Kills its process over "kill…", from the attempt on; "fails…" fails at its first attempt. */
const consumer = (
  isTransactional: boolean,
  killsFrom: number,
  instances = 'one',
) => `export default {
  id: 'c', channels: ['c'], transaction: ${isTransactional}, instances: '${instances}',
  retry: { attempts: ${ATTEMPTS}, backoff: () => 1 },
  async handle({ payload, attempt }, { db }) {
    await db.query('insert into public.effect (payload) values ($1)', [payload]);
    if (payload.startsWith('kill') && attempt >= ${killsFrom}) process.kill(process.pid, 'SIGKILL');
    if (!payload.startsWith('ok') && attempt === 1) throw new Error('not yet');
  },
};`;

/** Runs the consumer again and again until nothing waits. Returns how often its process died. */
async function supervise(text: string): Promise<number> {
  const cwd = makeProject({ 'consumers/c.js': text });
  const stop = new AbortController();
  let deaths = 0;
  const supervising = (async () => {
    while (!stop.signal.aborted) {
      const cli = startCli(['listen', '--database-url', database.url], { cwd });
      const onStop = () => cli.signal('SIGTERM');
      stop.signal.addEventListener('abort', onStop);
      if ((await cli.exited).exitCode === null) deaths += 1;
    }
  })();
  await until('nothing waits', isSettled, 60_000).finally(() => stop.abort());
  await supervising;
  return deaths;
}

async function isSettled(): Promise<true | string> {
  const { rows } = await database.query(
    `select (select done_id >= (select max(id) from pgwatch.notification_log)
         from pgwatch.consumer_progress) and not exists (select from pgwatch.lease) as is_read,
       array(select notification_id || ' ' || state || ' ' || attempts from pgwatch.delivery
         where state <> 'dead') as waiting`,
  );
  return (rows[0].is_read && rows[0].waiting.length === 0) || JSON.stringify(rows[0]);
}

async function publish(...notifications: [key: string, payload: string][]): Promise<void> {
  for (const [key, payload] of notifications) {
    await database.query(`select smart_notify('c', to_jsonb($2::text), $1)`, [key, payload]);
  }
}

async function deadLetters() {
  const { rows } = await database.query(
    `select payload #>> '{}' as payload, state, attempts, last_error->>'name' as error
     from pgwatch.delivery`,
  );
  return rows;
}

async function effects(): Promise<string[]> {
  const { rows } = await database.query('select payload from effect order by place');
  return rows.map(({ payload }) => payload);
}

const KILLED = [{ payload: 'kill', state: 'dead', attempts: ATTEMPTS, error: 'HandlerLost' }];

test.each([
  ['at least once', false, 'one'],
  ['with a transaction', true, 'one'],
  ['shared', false, 'shared'],
  ['shared, with a transaction', true, 'shared'],
])(
  'what kills its process is a dead letter after its attempts, the others are handled: %s',
  async (_, isTransactional, instances) => {
    await publish(['a', 'ok 1'], ['k', 'kill'], ['k', 'ok behind'], ['b', 'ok 2'], ['b', 'ok 3']);
    const deaths = await supervise(consumer(isTransactional, 1, instances));
    // The first death is of a process that had no reason to be careful.
    expect(deaths).toBe(ATTEMPTS + 1);
    expect(await deadLetters()).toEqual(KILLED);
    const handled = (await effects()).filter((payload) => payload !== 'kill');
    expect([...new Set(handled)].sort()).toEqual(['ok 1', 'ok 2', 'ok 3', 'ok behind']);
    if (isTransactional) expect(handled.length).toBe(4);
    await requireNoOrphans(database);
  },
  90_000,
);

test('those that are due together with what kills the process die neither of it nor with it', async () => {
  const others = [1, 2, 3, 4, 5, 6].map((n): [string, string] => [`f${n}`, `fails once ${n}`]);
  await publish(['k', 'kill'], ...others, ['f1', 'ok behind']);
  await supervise(consumer(true, 2));
  expect(await deadLetters()).toEqual(KILLED);
  const expected = [...others.map(([, payload]) => payload), 'ok behind'];
  expect((await effects()).sort()).toEqual(expected.sort());
}, 90_000);
