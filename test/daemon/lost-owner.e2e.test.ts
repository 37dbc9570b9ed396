import { beforeAll, beforeEach, expect, test } from 'vitest';
import type { Cli } from '../helpers/cli.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { startListening } from '../helpers/doors/listening.ts';
import { makeProject } from '../helpers/project.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

const database = useDatabase();

beforeAll(() => database.query('create table effect (place serial, owner int, payload int)'));

beforeEach(async () => {
  await emptyLog(database);
  await database.query('truncate effect');
});

/** Is slow at notification 2, in the middle of its transaction. */
const CONSUMER = `export default {
  id: 'c', channels: ['c'], transaction: true,
  async handle({ payload }, { db }) {
    await db.query('insert into public.effect (owner, payload) values ($1, $2)',
      [process.pid, payload]);
    console.log('handling ' + payload);
    if (payload === 2) await new Promise((resolve) => setTimeout(resolve, 1500));
    console.log('handled ' + payload);
  },
};`;

/** An owner that has handled 1, and another process on standby. */
async function startTwo(): Promise<[owner: Cli, other: Cli]> {
  const cwd = makeProject({ 'consumers/c.js': CONSUMER });
  const start = () =>
    startListening(database.url, {
      cwd,
      env: { PGWATCH_HEARTBEAT_INTERVAL: '300ms' },
    });
  const owner = start();
  await publish(database, 1);
  await owner.waitFor('handled 1');
  await owner.waitFor('following the tail');
  const other = start();
  await other.waitFor('standing by');
  return [owner, other];
}

const untilEffects = (...expected: number[]) =>
  until('these are the effects', async () => {
    const { rows } = await database.query('select payload from effect order by place');
    const found = rows.map(({ payload }) => payload).join();
    return found === expected.join() || found;
  });

test('if the owner is killed, the other takes over within two seconds without loss', async () => {
  const [owner, other] = await startTwo();
  await publish(database, 2);
  await owner.waitFor('handling 2');
  owner.signal('SIGKILL');
  const killedAt = performance.now();
  await publish(database, 3);
  await other.waitFor('handling 2');
  expect(performance.now() - killedAt).toBeLessThan(2000);
  await untilEffects(1, 2, 3);
});

test('if the owner freezes, the other takes over; once resumed, it commits nothing', async () => {
  const [owner, other] = await startTwo();
  await publish(database, 2);
  await owner.waitFor('handling 2');
  owner.signal('SIGSTOP');
  await publish(database, 3);
  await other.waitFor('handled 3');
  await untilEffects(1, 2, 3);
  owner.signal('SIGCONT');
  await owner.waitFor('handled 2');
  await owner.waitFor(/taken over by another process|standing by/);
  await publish(database, 4);
  await untilEffects(1, 2, 3, 4);
  const { rows } = await database.query('select count(distinct owner)::int as owners from effect');
  expect(rows).toEqual([{ owners: 2 }]);
});

test('if the owner is stopped, the other takes over at once', async () => {
  const [owner, other] = await startTwo();
  owner.signal('SIGTERM');
  const { exitCode } = await owner.exited;
  expect(exitCode).toBe(0);
  const stoppedAt = performance.now();
  await other.waitFor('Took over');
  // Standby processes tick once a second.
  expect(performance.now() - stoppedAt).toBeLessThan(500);
});
