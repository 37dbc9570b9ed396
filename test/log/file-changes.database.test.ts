import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyChanges } from '../../src/log/deliveries/apply-changes.ts';
import { type DeliveryChange, readWaitingKeys } from '../../src/log/deliveries/delivery.ts';
import { readDue } from '../../src/log/deliveries/due.ts';
import { useDatabase } from '../helpers/database.ts';
import { until } from '../helpers/wait.ts';
import { wholeTest } from '../helpers/whole.ts';

/*
Goal: whatever the log accepts can be recorded, found and copied. Method: notifications at the
limits of PostgreSQL are put into the log, and recorded as a daemon records them.
*/

const database = useDatabase();
let client: Client;

beforeEach(async () => {
  client = await database.connect();
  await client.query('truncate pgwatch.delivery');
  await client.query('begin');
});
afterEach(() => client.query('rollback'));

const scope = { consumerId: 'c', isOrdered: true };
const error = { name: 'Error', message: 'fails' };

/** Records deliveries as dead letters or retries. */
async function file(state: 'retry' | 'dead', ids: readonly number[], key: string | null = null) {
  const changes = ids.map(
    (notificationId): DeliveryChange =>
      state === 'dead'
        ? { notificationId, key, state, attempts: 1, error }
        : { notificationId, key, state, attempts: 1, error, delayMs: 0 },
  );
  return applyChanges(client, 'pgwatch', scope, changes);
}

async function idOf(sql: string, values: unknown[] = []): Promise<number> {
  const { rows } = await client.query(sql, values);
  return Number(rows[0].id);
}

async function filed(columns = 'state') {
  const { rows } = await client.query(
    `select ${columns} from pgwatch.delivery order by notification_id`,
  );
  return rows;
}

describe('keys too long for an index entry', () => {
  /** Text that does not compress, so its length counts. */
  const longKey = async (length: number): Promise<string> => {
    const { rows } = await client.query(
      `select left(string_agg(md5(random()::text), ''), $1) as key
       from generate_series(1, $1 / 32 + 1)`,
      [length],
    );
    return rows[0].key;
  };

  test.each([2700, 8200, 300_000])('of %i characters keep their order', async (length) => {
    const start = await longKey(length);
    // Equal up to the last character.
    const [key, other] = [`${start}a`, `${start}b`];
    const publish = (its: string) => idOf(`select smart_notify('limits', '{}', $1) as id`, [its]);
    const [first, second, third] = [await publish(key), await publish(key), await publish(other)];
    expect(await file('retry', [first], key)).toEqual([key]);
    await applyChanges(client, 'pgwatch', scope, [
      { notificationId: second, key, state: 'blocked' },
    ]);
    await file('retry', [third], other);
    expect(await readWaitingKeys(client, 'pgwatch', 'c', [other, key, start])).toEqual([
      other,
      key,
    ]);
    const consumers = [{ ...scope, workingIds: [], isStopping: false }];
    const due = await readDue(client, 'pgwatch', consumers);
    expect(due.map(({ notificationId }) => notificationId)).toEqual([first, second, third]);
    await file('dead', [first], key);
    expect(await filed()).toEqual([{ state: 'dead' }, { state: 'retry' }, { state: 'retry' }]);
  });
});

test.each(['done', 'retry'] as const)(
  'deliveries that are %s are locked in order of id, whatever the order of the changes',
  async (state) => {
    const setup = await database.connect();
    await setup.query(
      `insert into pgwatch.delivery (consumer_id, notification_id, state, next_attempt_at)
       select 'c', id, 'retry', now() from generate_series(1, 2) as id`,
    );
    await setup.query('begin; select from pgwatch.delivery where notification_id = 1 for update');
    const change = { key: null, attempts: 1, error, delayMs: 0 };
    const settling = applyChanges(
      client,
      'pgwatch',
      scope,
      [2, 1].map((notificationId) =>
        state === 'done'
          ? { notificationId, key: null, state }
          : { ...change, notificationId, state },
      ),
    );
    await until('it waits for the first', async () => {
      const { rowCount } = await database.query(
        `select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return rowCount === 1;
    });
    // If the second one were already locked, each would wait for the other.
    await setup.query(
      'select from pgwatch.delivery where notification_id = 2 for update nowait; commit',
    );
    await settling;
    await setup.end();
  },
);

describe('contents at the maximum size of a value', () => {
  test('are copied to separate columns, because a single value may not hold them', async () => {
    const id = await idOf(
      `insert into pgwatch.notification_log (xid, channel, action, relation, old_row, new_row)
       values (pg_current_xact_id(), 'limits', 'UPDATE', '["public", "t", "id"]',
         '{"v": "old"}', '{"v": "new"}')
       returning id`,
    );
    await file('dead', [id]);
    const [copy] = await filed('notification, payload, old_row, new_row');
    expect(copy).toMatchObject({ payload: null, old_row: { v: 'old' }, new_row: { v: 'new' } });
    expect(copy.notification).toMatchObject({ id, channel: 'limits', action: 'UPDATE' });
    expect(Object.keys(copy.notification)).not.toContain('new_row');
  });

  wholeTest(
    'are copied in full even if a single value could not hold them together',
    async () => {
      const long = `jsonb_build_object('v', repeat('x', 140000000))`;
      const id = await idOf(
        `insert into pgwatch.notification_log (xid, channel, action, relation, old_row, new_row)
         values (pg_current_xact_id(), 'limits', 'UPDATE', '["public", "t", "id"]',
           ${long}, ${long})
         returning id`,
      );
      await file('dead', [id]);
      const lengths = `length(old_row ->> 'v') as old, length(new_row ->> 'v') as new`;
      expect(await filed(lengths)).toEqual([{ old: 140_000_000, new: 140_000_000 }]);
      const joined = `select jsonb_build_object('old', old_row, 'new', new_row)
        from pgwatch.delivery`;
      await expect(client.query(`select length((${joined})::text)`)).rejects.toThrow();
    },
    120_000,
  );

  test('are copied in full even at the maximum depth of jsonb', async () => {
    await client.query(DEEPEST);
    const id = await idOf(`select smart_notify('limits', pg_temp.deepest()) as id`);
    await file('dead', [id]);
    expect(await filed('state, payload is not null as has_payload')).toEqual([
      { state: 'dead', has_payload: true },
    ]);
  });
});

describe('if the server refuses a row nevertheless', () => {
  const publish = () => idOf(`select smart_notify('limits', '{}') as id`);
  const refuse = (condition: string) =>
    client.query(`alter table pgwatch.delivery add constraint refused check (${condition})`);

  test('its copy is left out, and other rows are recorded unchanged', async () => {
    const ids = [await publish(), await publish(), await publish()];
    await refuse(`notification is null or notification_id <> ${ids[1]}`);
    await file('dead', ids);
    expect(await filed('notification is not null as has_copy')).toEqual([
      { has_copy: true },
      { has_copy: false },
      { has_copy: true },
    ]);
  });

  test('its error is replaced by a note that it was refused', async () => {
    const ids = [await publish(), await publish()];
    await refuse(`last_error ->> 'message' <> 'fails' or notification_id <> ${ids[0]}`);
    await file('dead', ids);
    const [first, second] = await filed(`last_error ->> 'message' as message`);
    expect(first.message).toMatch(/^its error cannot be stored: .*refused/);
    expect(second).toEqual({ message: 'fails' });
  });

  test('and nothing helps, the call fails and nothing is recorded', async () => {
    const id = await publish();
    await refuse('attempts < 0');
    await expect(file('dead', [id])).rejects.toMatchObject({ code: '23514' });
  });
});

/** The deepest arrays that the server accepts, found by bisection. */
const DEEPEST = `
create function pg_temp.nested(n int) returns jsonb language plpgsql as $$
begin return (repeat('[', n) || repeat(']', n))::jsonb;
exception when statement_too_complex then return null; end $$;
create function pg_temp.deepest() returns jsonb language plpgsql as $$
declare low int := 100; high int := 200000; mid int;
begin
  while high - low > 1 loop
    mid := (low + high) / 2;
    if pg_temp.nested(mid) is null then high := mid; else low := mid; end if;
  end loop;
  return pg_temp.nested(low);
end $$`;
