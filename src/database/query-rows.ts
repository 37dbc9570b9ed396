import pg from 'pg';
import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';

/** Clients whose query() is known to work like that of node-postgres. */
const known = new WeakSet<object>();

/**
 * Runs a statement that writes, on a client of the application. The client may return rows like
 * node-postgres, or bare ones. An unknown client runs a harmless query first: nothing is written if
 * its result could not be read.
 * @throws PgwatchError input_invalid if it is not a suitable client
 */
export async function queryRows(
  client: Queryable,
  text: string,
  values: unknown[],
): Promise<Record<string, unknown>[]> {
  const { query } = (client ?? {}) as { query?: unknown };
  if (typeof query !== 'function') throw unsuitable(client, 'which has no query(text, values)');
  const run = async (statement: string, given: unknown[]) =>
    rowsIn(await (client.query(statement, given) as Promise<unknown>));
  if (!isKnown(client)) {
    if ((await run("select '1' as id", []))?.[0]?.id !== '1') {
      throw unsuitable(client, 'whose query(text, values) returns no rows');
    }
    known.add(client);
  }
  return (await run(text, values)) ?? [];
}

function isKnown(client: Queryable): boolean {
  if (client instanceof pg.Client || client instanceof pg.Pool || known.has(client)) return true;
  // From another copy of node-postgres.
  const { getTypeParser, totalCount } = client as { getTypeParser?: unknown; totalCount?: unknown };
  return typeof getTypeParser === 'function' || typeof totalCount === 'number';
}

function rowsIn(result: unknown): Record<string, unknown>[] | undefined {
  const { rows = result } = (result ?? {}) as { rows?: unknown };
  if (!Array.isArray(rows)) return undefined;
  // Some return an array of the rows and their column definitions.
  return (Array.isArray(rows[0]) ? rows[0] : rows) as Record<string, unknown>[];
}

function unsuitable(client: unknown, fault: string): PgwatchError {
  const name =
    typeof client === 'object' && client !== null
      ? `an object of ${client.constructor?.name ?? 'no class'}`
      : typeof client === 'function'
        ? 'a function'
        : String(client);
  return new PgwatchError(
    'input_invalid',
    `notify() takes a client or a pool of node-postgres, but was given ${name}, ${fault}. ` +
      'Nothing was published. With another library, run ' +
      `"select smart_notify('orders', '{"id": 42}')" in your transaction.`,
  );
}
