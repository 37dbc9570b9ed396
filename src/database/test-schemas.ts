import type { ClientBase } from 'pg';
import { escapeIdentifier } from 'pg';
import type { Queryable } from './connect.ts';
import { readHolders } from './holders.ts';
import type { Names } from './names.ts';
import { LOCK_TIMEOUT, patientlyLocked, readTables } from './patient-lock.ts';
import { withTransaction } from './transaction.ts';

/** Creates the schema that smart_notify is created in, for a test alone. */
export async function createTestSchema(client: Queryable, { apiSchema }: Names): Promise<void> {
  await client.query(`create schema ${escapeIdentifier(apiSchema)}`);
}

/**
 * Drops the schemas of a test, with all that is in them.
 * @throws PgwatchError table_locked if a transaction that the test has left open uses them
 */
export async function dropTestSchemas(client: ClientBase, names: Names): Promise<void> {
  const schemas = [names.schema, names.apiSchema];
  await patientlyLocked(
    {
      what: 'the schema of the test',
      readHolders: async () =>
        readHolders(client, await readTables(client, schemas), { isExclusive: true }),
      onWaiting: () => {},
      patienceMs: PATIENCE_MS,
      signal: new AbortController().signal,
    },
    () =>
      withTransaction(client, async () => {
        await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
        const all = schemas.map(escapeIdentifier).join(', ');
        await client.query(`drop schema if exists ${all} cascade`);
      }),
  );
}

/** Less than test runners wait for a hook. */
const PATIENCE_MS = 3000;
