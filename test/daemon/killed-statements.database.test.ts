import { afterEach, expect, test } from 'vitest';
import type { ConsumerDefinition } from '../../src/consumers/define.ts';
import { useDatabase } from '../helpers/database.ts';
import { useDelivering } from '../helpers/delivering.ts';
import { publishRange } from '../helpers/publish.ts';
import { until } from '../helpers/wait.ts';
import { some } from '../helpers/whole.ts';

/*
Goal: any statement that is killed is run again, and the session continues.
Method: each statement fails a few times, because triggers raise what the server would raise or
because its backend is canceled or terminated; the control connection is never terminated.
*/

const database = useDatabase({ heartbeatInterval: '100ms', pollInterval: '100ms' });
// After the daemons have stopped: hooks run in reverse order.
afterEach(async () => {
  await database.query('drop schema if exists fault cascade');
});
const { tail, publish } = useDelivering(database);

const KINDS: Record<string, Partial<ConsumerDefinition>> = {
  owned: {},
  shared: { instances: 'shared' },
  'in a transaction': { transaction: true },
  'shared in a transaction': { instances: 'shared', transaction: true },
};

function collecting(rest: Partial<ConsumerDefinition>) {
  const seen = new Set<unknown>();
  const failed = new Set<unknown>();
  const consumer = {
    id: 'c',
    channels: ['c'],
    retry: { attempts: 100, backoff: () => 1 },
    handle({ payload, attempt }: { payload: unknown; attempt: number }) {
      // Deliveries are written, read and settled, too.
      if (attempt === 1 && Number(payload) % 5 === 0) {
        failed.add(payload);
        throw new Error('not yet');
      }
      seen.add(payload);
    },
    ...rest,
  } as ConsumerDefinition & { id: string };
  return { consumer, seen };
}

/** Makes statements on a table fail: the first one, and every fourth one after it. */
async function breakTable(table: string, code: string): Promise<void> {
  await database.query(`
    create schema if not exists fault;
    create sequence fault.${table};
    create function fault.${table}() returns trigger language plpgsql as $$ begin
      if nextval('fault.${table}') % 4 = 1 then
        raise exception 'killed' using errcode = '${code}';
      end if;
      return null;
    end $$;
    grant usage on schema fault to public;
    create trigger fault before insert or update or delete on pgwatch.${table}
    for each statement execute function fault.${table}()`);
}

test.each(
  some([
    ['owned', '57014'],
    ['shared', '40001'],
    ['in a transaction', '40P01'],
    ['shared in a transaction', '53200'],
    ['shared', '55P03'],
  ]),
)('%s: writes that fail with %s are repeated', async (kind, code) => {
  const { consumer, seen } = collecting(KINDS[kind] ?? {});
  const daemon = await tail(consumer);
  for (const table of ['consumer_progress', 'lease', 'delivery', 'daemon']) {
    await breakTable(table, code);
  }
  for (let n = 1; n <= 10; n++) await publish([null, n]);
  await until('all are handled', () => seen.size === 10 || `${seen.size} are`);
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
});

test.each(some(Object.keys(KINDS)))(
  '%s: killed reads and settlements do not stop the delivery',
  async (kind) => {
    const { consumer, seen } = collecting(KINDS[kind] ?? {});
    const daemon = await tail(consumer);
    let kills = 0;
    for (let n = 1; n <= 60; n++) {
      await publish([`k${n % 7}`, n]);
      const { rows } = await database.query(
        `select case when application_name = 'pgwatch control' or $1 then pg_cancel_backend(pid)
         else pg_terminate_backend(pid) end
       from pg_stat_activity where datname = current_database()
         and application_name in ('pgwatch', 'pgwatch control') and ($2 or state = 'active')`,
        [n % 2 === 0, n % 3 === 0],
      );
      kills += rows.length;
    }
    await until('all are handled', () => seen.size === 60 || `${seen.size} are`);
    expect(kills).toBeGreaterThan(0);
    expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
  },
);

test('a replay continues where it was killed', async () => {
  await publishRange(database, 1, 3000);
  const seen = new Set<unknown>();
  const killed = new Set<unknown>();
  const consumer = {
    id: 'c',
    channels: ['c'],
    async handle({ payload }: { payload: unknown }) {
      if (Number(payload) % 700 === 0 && !killed.has(payload)) {
        killed.add(payload);
        await database.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name = 'pgwatch'`,
        );
      }
      seen.add(payload);
    },
  };
  const daemon = await tail(consumer);
  await until('all are handled', () => seen.size === 3000 || `${seen.size} are`);
  expect(killed.size).toBe(4);
  expect(daemon.transitions.seen.filter(({ type }) => type === 'disconnected')).toEqual([]);
});
