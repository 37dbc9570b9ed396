import { describe, expect, test } from 'vitest';
import type { Notification } from '../../src/log/notification.ts';
import { collecting, startTailing, useDaemons } from '../helpers/daemon.ts';
import { useDatabase } from '../helpers/database.ts';
import { publish } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';

/*
Eight experiments in which a predecessor with the same promise, whose reader remembers the highest
id, lost notifications, aborted the writer, or let one consumer undo what another had done. Here
each must be handled completely, even after a restart.
*/

const database = useDatabase({ maxBatchSize: 100 });
const { start, tail, stopAll } = useDaemons(database);

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Later, another daemon finds nothing left to do. */
async function restartFindsNothing(): Promise<void> {
  await stopAll();
  const { seen, definition } = collecting();
  await tail(definition);
  await publish(database, 0);
  await until('the probe has come', () => seen.includes(0));
  expect(seen).toEqual([0]);
}

describe('the eight rows', () => {
  test('1. twenty notifications, one after the other', async () => {
    const { seen, definition } = collecting();
    await tail(definition);
    for (const n of numbers(20)) await publish(database, n);
    await until('all are handled', () => seen.length === 20);
    expect(seen).toEqual(numbers(20));
    await restartFindsNothing();
  });

  test('2. a transaction that commits late, with a lower id', async () => {
    const { seen, definition } = collecting();
    await tail(definition);
    const late = await database.connect();
    await late.query('begin');
    await late.query(`select smart_notify('c', '1')`);
    await publish(database, 2);
    await until('the later one is handled', () => seen.length === 1);
    await late.query('commit');
    await until('the late one is handled', () => seen.length === 2);
    expect(seen).toEqual([2, 1]);
    await restartFindsNothing();
  });

  test('3. a backlog of 250, then a new one', async () => {
    for (const n of numbers(250)) await publish(database, n);
    const { seen, definition } = collecting();
    start(definition);
    await publish(database, 251);
    await until('all are handled', () => seen.length === 251 || `${seen.length} are`);
    expect(seen).toEqual(numbers(251));
    await restartFindsNothing();
  });

  test('4. a handler that throws once, on the second of five notifications', async () => {
    const seen: unknown[] = [];
    let hasThrown = false;
    const handle = ({ payload }: Notification) => {
      if (payload === 2 && !hasThrown) {
        hasThrown = true;
        throw new Error('once');
      }
      seen.push(payload);
    };
    const definition = { id: 'c', channels: ['c'], retry: { backoff: '50ms' }, handle };
    await tail(definition);
    for (const n of numbers(5)) await publish(database, n);
    await until('all are handled', () => seen.length === 5 || `${seen}`);
    expect([...seen].sort()).toEqual(numbers(5));
    await restartFindsNothing();
  });

  test('5. the listener is killed by pg_terminate_backend', async () => {
    const { seen, definition } = collecting();
    const daemon = await tail(definition);
    for (const n of [1, 2, 3]) await publish(database, n);
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'pgwatch control' and datname = current_database()`,
    );
    for (const n of [4, 5, 6]) await publish(database, n);
    await until('all are handled', () => new Set(seen).size === 6 || `${seen}`);
    await daemon.transitions.for({ type: 'tail_joined' }, 2);
    await restartFindsNothing();
  });

  test('6. a payload of fewer than 8000 characters but more bytes', async () => {
    const { seen, definition } = collecting();
    await tail(definition);
    await database.query('create table business (n int)');
    const writer = await database.connect();
    await writer.query('begin');
    await writer.query('insert into business values (1)');
    await writer.query(`select smart_notify('c', to_jsonb(repeat('é', 5000)))`);
    await writer.query('commit');
    await until('it is handled', () => seen.length === 1);
    expect(seen).toEqual(['é'.repeat(5000)]);
    expect((await database.query('select n from business')).rows).toEqual([{ n: 1 }]);
  });

  test('7. a channel whose name is SQL', async () => {
    const channel = 'ch; create table injected (n int)';
    const { seen, definition } = collecting({ channels: [channel] });
    await tail(definition);
    await publish(database, 1, { channel });
    await until('it is handled', () => seen.length === 1);
    const { rows } = await database.query(`select to_regclass('injected') as injected`);
    expect(rows).toEqual([{ injected: null }]);
  });

  test('8. two consumers get the same notification and keep separate positions', async () => {
    const both = Promise.withResolvers<void>();
    const seen: string[] = [];
    const meeting = (id: string) => ({
      id,
      channels: ['c'],
      async handle() {
        if (seen.push(id) === 2) both.resolve();
        await both.promise;
      },
    });
    const definitions = [meeting('a'), meeting('b')];
    const daemon = await startTailing(database.config, definitions);
    await publish(database, 1);
    await until('both are handled', () => seen.length === 2);
    await daemon.stop();
    const again = definitions.map(({ id }) => collecting({ id }));
    await tail(...again.map(({ definition }) => definition));
    await publish(database, 2);
    await until('the next one comes to both', () => again.every((one) => one.seen.length === 1));
    expect(again.map((one) => one.seen)).toEqual([[2], [2]]);
  });
});
