import pg from 'pg';
import { PgwatchError } from '../errors.ts';
import { AdaptedTransaction } from './adapted-transaction.ts';
import type { Queryable } from './connect.ts';

/** What notify() publishes through: a pg client or pool, or a transaction of another library. */
export type PublishClient = Queryable | AdaptedTransaction;

/** Clients whose query() is known to work like that of node-postgres. */
const known = new WeakSet<object>();

/**
 * Runs a statement that writes, on a client of the application. The client may return rows like
 * node-postgres, or bare ones. An unknown client runs a harmless query first: nothing is written if
 * its result could not be read.
 * @throws PgwatchError input_invalid if it is not a suitable client
 */
export async function queryRows(
  client: PublishClient,
  text: string,
  values: (string | null)[],
): Promise<Record<string, unknown>[]> {
  const { query } = (client ?? {}) as { query?: unknown };
  if (typeof query !== 'function') throw unsuitable(client, 'which has no query(text, values)');
  const run = async (...given: unknown[]) => rowsIn(await query.apply(client, given));
  if (!isKnown(client)) {
    if ((await run("select '1' as id", []))?.[0]?.id !== '1') {
      throw unsuitable(client, 'whose query(text, values) returns no rows');
    }
    known.add(client);
  }
  return (await run(text, values)) ?? [];
}

function isKnown(client: PublishClient): boolean {
  if (client instanceof AdaptedTransaction || known.has(client)) return true;
  if (client instanceof pg.Client || client instanceof pg.Pool) return true;
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
  return new PgwatchError(
    'input_invalid',
    `notify() takes a client or a pool of node-postgres, but was given ${named(client)}, ` +
      `${fault}. Nothing was published. With an ORM, use pgwatch/adapters; with another library, ` +
      'run notifyQuery() in your transaction.',
  );
}

/** An object as messages name it. */
export function named(given: unknown): string {
  if (typeof given === 'function') return 'a function';
  if (typeof given !== 'object' || given === null) return String(given);
  return `an object of ${given.constructor?.name ?? 'no class'}`;
}
