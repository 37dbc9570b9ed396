import type { Queryable } from '../../database/connect.ts';
import { qualified } from '../../database/names.ts';

/** Creates the demo's table, with the trigger that a user would write. */
export async function createOrders(client: Queryable, apiSchema: string): Promise<void> {
  await client.query(`
    create schema if not exists demo;
    create table if not exists demo.orders (
      id bigint generated always as identity primary key,
      item text not null,
      buyer text not null,
      state text not null default 'new'
    );
    create or replace trigger orders_changed
      after insert or update or delete on demo.orders
      for each row execute function ${qualified(apiSchema, 'notify_data_change')}();`);
}

/** Places an order and returns its id. */
export async function insertOrder(client: Queryable): Promise<number> {
  const { rows } = await client.query(
    'insert into demo.orders (item, buyer) values ($1, $2) returning id::integer',
    [oneOf(ITEMS), oneOf(BUYERS)],
  );
  return (rows[0] as { id: number }).id;
}

/** Advances an open order: new, paid, sent. Returns undefined if none is open. */
export async function advanceOrder(client: Queryable): Promise<number | undefined> {
  const { rows } = await client.query(
    `update demo.orders
     set state = case state when 'new' then 'paid' else 'sent' end
     where id = (select id from demo.orders where state <> 'sent' order by random() limit 1)
     returning id::integer`,
  );
  return (rows[0] as { id: number } | undefined)?.id;
}

/** Deletes the oldest order if there are more than a few, to keep the table small. */
export async function deleteOrder(client: Queryable): Promise<boolean> {
  const { rowCount } = await client.query(
    `delete from demo.orders
     where id = (select min(id) from demo.orders having count(*) > 8)`,
  );
  return rowCount === 1;
}

function oneOf(values: readonly string[]): string {
  return values[Math.floor(Math.random() * values.length)] ?? '';
}

/** Short names, to fit a change into a line of 80 columns. */
const BUYERS = ['Ada', 'Alan', 'Bob', 'Eve', 'Joan', 'Ken', 'Lena', 'Rob'];
const ITEMS = ['cake', 'pie', 'rice', 'soup', 'taco', 'tea'];
