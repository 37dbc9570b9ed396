import { escapeIdentifier } from 'pg';
import type { Queryable } from './connect.ts';
import type { Names } from './names.ts';

/** Creates the schema that smart_notify is created in, for a test alone. */
export async function createTestSchema(client: Queryable, { apiSchema }: Names): Promise<void> {
  await client.query(`create schema ${escapeIdentifier(apiSchema)}`);
}

/** Drops the schemas of a test, with all that is in them. */
export async function dropTestSchemas(client: Queryable, names: Names): Promise<void> {
  const schemas = [names.schema, names.apiSchema].map(escapeIdentifier);
  await client.query(`drop schema if exists ${schemas.join(', ')} cascade`);
}
