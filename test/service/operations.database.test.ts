import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPgwatch, defineConsumer, type Pgwatch } from '../../src/index.ts';
import { SILENT } from '../../src/testing/silent.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { runMain } from '../helpers/main.ts';

/** Goal: a method returns what its command prints with --json. */

const database = useDatabase();
let pgwatch: Pgwatch;

beforeEach(() => {
  pgwatch = createPgwatch({ url: database.url, pollInterval: '50ms', reporter: SILENT });
});
afterEach(async () => {
  await pgwatch.close();
  await emptyLog(database);
  await database.query('drop table if exists item');
});

/** Handles everything; the payloads given fail for good. */
async function handleAll(...bad: unknown[]): Promise<void> {
  const consumer = defineConsumer({
    id: 'email',
    channels: ['orders'],
    retry: { attempts: 1 },
    handle({ payload }) {
      if (bad.includes(payload)) throw new Error(`${payload} is bad`);
    },
  });
  const { done } = await pgwatch.listen([consumer], { once: true });
  if (bad.length === 0) return done;
  await expect(done).rejects.toMatchObject({ code: 'handler_failed' });
}

async function publish(...payloads: string[]): Promise<number[]> {
  return pgwatch.notifyMany(
    payloads.map((payload) => ({ channel: 'orders', payload, key: payload })),
  );
}

/** What a command prints with --json. */
async function printed(...args: string[]): Promise<unknown> {
  const { stdout } = await runMain([...args, '--json'], { env: { DATABASE_URL: database.url } });
  return JSON.parse(stdout);
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('deadLetters, doctor and history return what the commands print', async () => {
  await database.query('create table item (id int primary key, name text)');
  await runMain(['trigger', 'add', 'item'], { env: { DATABASE_URL: database.url } });
  await database.query(`insert into item values (1, 'a'); update item set name = 'b'`);
  await publish('a', 'b', 'c');
  await handleAll('a', 'c');
  expect(plain(await pgwatch.deadLetters.list())).toEqual(await printed('dlq', 'list'));
  expect(await pgwatch.deadLetters.list({ error: 'c is bad' })).toHaveLength(1);
  const doctor = await pgwatch.doctor();
  // What it has seen changes with each transaction.
  const told = (await printed('doctor')) as typeof doctor;
  const outcomes = (report: typeof doctor) =>
    report.checked.map(({ check, outcome }) => [check, outcome]);
  expect([doctor.isSound, outcomes(doctor)]).toEqual([told.isSound, outcomes(told)]);
  const versions = await pgwatch.history('item', 1);
  expect(plain(versions)).toEqual(await printed('history', 'item', '1'));
  expect(versions.map(({ after }) => after)).toEqual([
    { id: 1, name: 'a' },
    { id: 1, name: 'b' },
  ]);
  const at = new Date();
  expect(plain(await pgwatch.history('item', { id: 1 }, { at }))).toEqual(
    await printed('history', 'item', '1', '--at', at.toISOString()),
  );
  const undo = versions[1]?.notificationId ?? 0;
  expect(await pgwatch.history('item', 1n, { undo })).toEqual(
    await printed('history', 'item', '1', '--undo', String(undo)),
  );
});

test('dead letters are retried and discarded as selected', async () => {
  const [a = 0, b = 0, c = 0] = await publish('a', 'b', 'c');
  await handleAll('a', 'c');
  const planned = await pgwatch.deadLetters.retry({ consumers: ['email'], dryRun: true });
  expect(plain(planned)).toEqual(await printed('dlq', 'retry', '--all', '--dry-run'));
  const retried = await pgwatch.deadLetters.retry({ ids: [a, b] });
  expect(retried).toMatchObject({
    dryRun: false,
    retried: [{ consumerId: 'email', id: a, key: 'a', state: 'dead' }],
    left: [],
    unknown: [b],
  });
  expect(
    (await pgwatch.deadLetters.list({ state: 'all' })).map(({ id, state }) => [id, state]),
  ).toEqual([
    [c, 'dead'],
    [a, 'retry'],
  ]);
  const discarded = await pgwatch.deadLetters.discard({ all: true });
  expect(discarded.discarded.map(({ id }) => id)).toEqual([c]);
});

test('a position is moved as planned, and never under a consumer that runs', async () => {
  await publish('a', 'b', 'c');
  await handleAll();
  const plan = await pgwatch.seek('email', { by: -2 }, { dryRun: true });
  expect(plain(plan)).toEqual(await printed('seek', 'email', '--to', '-2', '--dry-run'));
  expect(await pgwatch.seek('email', 'start')).toMatchObject({ dryRun: false, again: 3 });
  const handled: unknown[] = [];
  const consumer = defineConsumer({
    id: 'email',
    channels: ['orders'],
    handle: ({ payload }) => void handled.push(payload),
  });
  const listening = await pgwatch.listen([consumer]);
  await listening.caughtUp();
  await expect(pgwatch.seek('email', 'start')).rejects.toMatchObject({ code: 'consumer_running' });
  await pgwatch.seek('email', 'start', { live: true });
  await listening.caughtUp();
  expect(handled).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
});

test('what was selected is delivered again, or cancelled', async () => {
  const [, b = 0] = await publish('a', 'b', 'c');
  await handleAll();
  const planned = await pgwatch.replay('email', { ids: [b] }, { dryRun: true });
  expect(plain(planned)).toEqual(await printed('replay', 'email', '--id', String(b), '--dry-run'));
  expect(planned).toMatchObject({ matching: 1, filed: 0, first: [{ id: b }] });
  expect(await pgwatch.replay('email', { channel: 'orders' })).toMatchObject({ filed: 3 });
  expect(await pgwatch.cancelReplay('email')).toBe(3);
  expect(await pgwatch.replay('email', { key: 'x' })).toMatchObject({
    filed: 0,
    messages: ['No notification on its channels has the key x.'],
  });
});

describe('bad input is refused in one sentence, and changes nothing', () => {
  const cases: [what: string, act: () => Promise<unknown>, message: RegExp][] = [
    [
      'a mistyped option',
      () => pgwatch.seek('email', 'start', { dryrun: true } as object),
      /^dryrun is not an option of seek\(\)\. Did you mean "dryRun"\? /,
    ],
    [
      'a target that is none',
      () => pgwatch.seek('email', 'yesterday' as 'now'),
      /^seek\(\): its target is 'start', 'now', \{ by: -100 \} or the id .*, not 'yesterday'\.$/,
    ],
    ['a replay of everything', () => pgwatch.replay('email', {}), /^replay\(\) needs since, /],
    [
      'an id that is none',
      () => pgwatch.replay('email', { ids: [0.5] }),
      /^replay\(\): ids must be a list of ids of notifications, .*, not \[0\.5\]\.$/,
    ],
    [
      'a discard of nothing',
      () => pgwatch.deadLetters.discard({}),
      /^deadLetters\.discard\(\) needs either a selection, /,
    ],
    [
      'an empty selection',
      () => pgwatch.deadLetters.discard({ ids: [] }),
      /^deadLetters\.discard\(\): ids must be a list /,
    ],
    [
      'a duration that is none',
      () => pgwatch.deadLetters.list({ olderThan: 'x' as '1h' }),
      /olderThan must be a duration like '2h', .*, not 'x'\.$/,
    ],
    [
      'a pause until nothing',
      () => pgwatch.pause('email', 'tomorrow' as '1h'),
      /^pause\(\): until must be a Date or a duration from now like '2h', not 'tomorrow'\.$/,
    ],
    [
      'at with undo',
      () => pgwatch.history('item', 1, { at: new Date(), undo: 1 } as object),
      /^history\(\) takes at or undo, but not both\.$/,
    ],
    ['why of no id', () => pgwatch.why(Number.NaN), /^why\(\) takes a whole number from 1, not /],
  ];
  test.each(cases)('%s', async (_, act, message) => {
    await publish('a');
    await handleAll('a');
    const before = await pgwatch.deadLetters.list();
    const thrown = await act().catch((error: unknown) => error);
    expect(thrown).toMatchObject({
      code: 'input_invalid',
      message: expect.stringMatching(message),
    });
    expect(await pgwatch.deadLetters.list()).toEqual(before);
  });
});
