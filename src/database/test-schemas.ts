import { type ClientBase, escapeIdentifier } from 'pg';
import type { Queryable } from './connect.ts';
import type { Names } from './names.ts';
import { LOCK_TIMEOUT, patientlyInSchemas } from './patient-lock.ts';
import { settingsSql, withTransaction } from './transaction.ts';

/** Creates the schema that smart_notify is created in, for a test alone. */
export async function createTestSchema(client: Queryable, { apiSchema }: Names): Promise<void> {
  await client.query(`create schema ${escapeIdentifier(apiSchema)}`);
}

/**
 * Drops the schemas of a test, with all that is in them.
 * @throws PgwatchError table_locked if a transaction that the test has left open uses them
 */
export async function dropTestSchemas(client: ClientBase, names: Names): Promise<void> {
  const schemas = [names.schema, names.apiSchema] as const;
  const drop = () =>
    withTransaction(client, async () => {
      await client.query(settingsSql({ lock_timeout: LOCK_TIMEOUT }, 'transaction'));
      const all = schemas.map(escapeIdentifier).join(', ');
      await client.query(`drop schema if exists ${all} cascade`);
    });
  await patientlyInSchemas(client, { schemas, patienceMs: PATIENCE_MS }, drop);
}

/** Less than test runners wait for a hook. */
const PATIENCE_MS = 3000;
