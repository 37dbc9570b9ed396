import { PgwatchError } from '../errors.ts';
import { formatDuration } from '../time.ts';
import type { Queryable } from './connect.ts';
import { readHolders } from './holders.ts';
import { type PatienceOptions, patiently } from './patience.ts';

export type LockOptions = PatienceOptions & {
  /** What is locked, as shown in messages: 'public.orders'. */
  what: string;
  /** Describes the sessions that hold it. */
  readHolders(): Promise<string>;
  /** Called with what it waits for, whenever that changes. */
  onWaiting(message: string): void;
};

/**
 * Does work that locks what others write to. It waits only briefly each time, because writers queue
 * behind it; see patiently.
 * @throws PgwatchError table_locked, which says who holds it, when patienceMs is over
 */
export async function patientlyLocked<T>(options: LockOptions, work: () => Promise<T>): Promise<T> {
  const { what, onWaiting, patienceMs } = options;
  let said = '';
  const onRefused = async (isLast: boolean) => {
    const holders = await options.readHolders();
    if (isLast) {
      throw new PgwatchError(
        'table_locked',
        `Nothing was changed, because ${what} was in use for ${formatDuration(patienceMs)}: ` +
          `${holders}. End that transaction, or try again later.`,
      );
    }
    // A change of the duration alone does not count.
    const who = holders.replaceAll(/ for \d[^:]*/g, '');
    if (who !== said) onWaiting(`Waiting for ${what}: ${holders}.`);
    said = who;
  };
  return patiently(work, onRefused, options);
}

/** Schemas of our own, the one to name in messages first. */
export type OwnSchemas = {
  schemas: readonly [string, ...string[]];
  onWaiting?: LockOptions['onWaiting'] | undefined;
  /** Default 30 s. */
  patienceMs?: number;
};

/** The same for work that locks tables of our own schemas. */
export async function patientlyInSchemas<T>(
  client: Queryable,
  { schemas, onWaiting = () => {}, patienceMs = PATIENCE_MS }: OwnSchemas,
  work: () => Promise<T>,
): Promise<T> {
  return patientlyLocked(
    {
      what: `schema ${schemas[0]}`,
      readHolders: async () => readHolders(client, await readTables(client, schemas), ALONE),
      onWaiting,
      patienceMs,
      signal: new AbortController().signal,
    },
    work,
  );
}

async function readTables(client: Queryable, schemas: readonly string[]): Promise<number[]> {
  const { rows } = await client.query<{ oid: number }>(
    `select c.oid::int8::float8 as oid from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = any($1)
     where c.relkind in ('r', 'p')`,
    [schemas],
  );
  return rows.map(({ oid }) => oid);
}

/** The lock_timeout of each attempt: how long writers may have to wait behind it. */
export const LOCK_TIMEOUT = '200ms';
const PATIENCE_MS = 30_000;
const ALONE = { isExclusive: true };
