import { afterEach, beforeAll, expect, test } from 'vitest';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { requireNoOrphans } from '../helpers/delivering.ts';
import { startListening } from '../helpers/doors/listening.ts';
import { makeProject } from '../helpers/project.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: a notification that kills its process becomes a dead letter and harms no other.
Method: the daemon runs in its own process and is restarted whenever it dies, as a supervisor does.
The wrong variant: a group that died is called as a group again.
*/

const database = useDatabase();
const ATTEMPTS = 2;

beforeAll(() =>
  database.query('create table effect (place serial, payload text, attempt integer)'),
);

afterEach(async () => {
  await database.query('truncate effect');
  await emptyLog(database);
});

type Kind = {
  transaction?: boolean;
  instances?: string;
  concurrency?: number;
  /** The attempts at which "kill" kills its process; other attempts succeed. */
  kills?: readonly number[];
};

/** Kills its process on "kill"; every payload except "ok…" fails at its first attempt. */
const consumer = ({ kills = [1, 2], ...rest }: Kind) => `export default {
  id: 'c', channels: ['c'], ...${JSON.stringify(rest)},
  retry: { attempts: ${ATTEMPTS}, backoff: () => 1 },
  async handle({ payload, attempt }, { db }) {
    await db.query('insert into public.effect (payload, attempt) values ($1, $2)',
      [payload, attempt]);
    if (payload === 'kill' && ${JSON.stringify(kills)}.includes(attempt)) {
      process.kill(process.pid, 'SIGKILL');
    }
    if (!payload.startsWith('ok') && attempt === 1) throw new Error('not yet');
  },
};`;

/**
 * Restarts the consumer until nothing is waiting or `isEnough` says so. Returns how often its
 * process died.
 */
async function supervise(kind: Kind, isEnough = (_deaths: number) => false): Promise<number> {
  const text = consumer(kind);
  const cwd = makeProject({ 'consumers/c.js': text });
  const stop = new AbortController();
  let deaths = 0;
  const supervising = (async () => {
    while (!stop.signal.aborted) {
      const cli = startListening(database.url, { cwd });
      const onStop = () => cli.signal('SIGTERM');
      stop.signal.addEventListener('abort', onStop);
      if ((await cli.exited).exitCode === null) deaths += 1;
    }
  })();
  const isOver = async () => isEnough(deaths) || isSettled();
  await until('nothing waits', isOver, 60_000).finally(() => stop.abort());
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

/** Harmless notifications around it: more than a group holds. */
const OTHERS = Array.from({ length: 40 }, (_, n) => `ok ${n}`);

async function publishAll(): Promise<void> {
  const others = OTHERS.map((payload): [string, string] => [payload, payload]);
  await publish(...others.slice(0, 10), ['k', 'kill'], ['k', 'ok behind'], ...others.slice(10));
}

const KILLED = [{ payload: 'kill', state: 'dead', attempts: ATTEMPTS, error: 'HandlerLost' }];

const KINDS: [string, Kind][] = [
  ['side by side', { concurrency: 8 }],
  ['with a transaction', { transaction: true }],
  ['shared', { instances: 'shared', concurrency: 8 }],
  ['shared, with a transaction', { transaction: true, instances: 'shared' }],
];

test.each(some(KINDS))(
  'a notification that kills its process becomes a dead letter, the others are handled: %s',
  async (_, kind) => {
    await publishAll();
    const deaths = await supervise(kind);
    // The first process has no reason to be careful, and a group does not tell which call killed
    // it.
    expect(deaths).toBe(ATTEMPTS + 2);
    expect(await deadLetters()).toEqual(KILLED);
    const { rows } = await database.query(
      `select payload, attempt from effect where payload <> 'kill' order by place`,
    );
    expect([...new Set(rows.map(({ payload }) => payload))].sort()).toEqual(
      [...OTHERS, 'ok behind'].sort(),
    );
    if (kind.transaction) expect(rows.length).toBe(OTHERS.length + 1);
    // No attempt of theirs is spent.
    expect(rows.filter(({ attempt }) => attempt !== 1)).toEqual([]);
    await requireNoOrphans(database);
  },
  90_000,
);

test('a notification that kills its process at the first attempt only is done later', async () => {
  await publishAll();
  expect(await supervise({ concurrency: 8, kills: [1] })).toBe(3);
  expect(await deadLetters()).toEqual([]);
  const done = await effects();
  expect(done.filter((payload) => payload === 'kill').length).toBe(4);
  expect(done.indexOf('ok behind')).toBeGreaterThan(done.lastIndexOf('kill'));
}, 90_000);

test('retries due together with one that kills the process are not lost with it', async () => {
  const others = [1, 2, 3, 4, 5, 6].map((n): [string, string] => [`f${n}`, `fails once ${n}`]);
  await publish(['k', 'kill'], ...others, ['f1', 'ok behind']);
  await supervise({ transaction: true, kills: [2] });
  expect(await deadLetters()).toEqual(KILLED);
  const expected = [...others.map(([, payload]) => payload), 'ok behind'];
  expect((await effects()).sort()).toEqual(expected.sort());
}, 90_000);

test('a group that died and is called as a group again kills process after process', async () => {
  await database.query(`
    create function regroup() returns trigger language plpgsql as $$
    begin new.is_grouped := new.is_suspect; return new; end $$;
    create trigger regroup before insert or update on pgwatch.delivery
      for each row execute function regroup()`);
  await publishAll();
  try {
    await supervise({ concurrency: 8 }, (deaths) => deaths > ATTEMPTS + 2);
    expect((await deadLetters()).filter(({ state }) => state === 'dead')).toEqual([]);
  } finally {
    await database.query('drop function regroup cascade');
  }
}, 90_000);
