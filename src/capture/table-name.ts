import pg, { type ClientBase } from 'pg';
import { withTransaction } from '../database/transaction.ts';
import { PgwatchError } from '../errors.ts';

/** A table's name as given by the user; without a schema, the search path is used. */
export type TableName = { schema: string | null; name: string };

/**
 * Parses users, app.users, "Order items" or app."a.b": a dot separates the schema from the name,
 * and names that contain a dot need double quotes. Case is kept, even without quotes.
 * @throws PgwatchError table_unsuitable if it is not a name
 */
export function parseTableName(text: string): TableName {
  if (typeof text !== 'string') {
    throw new PgwatchError(
      'table_unsuitable',
      `The name of a table must be a string, not ${typeof text}.`,
    );
  }
  const match = /^(?:(?<schema>PART)\.)?(?<name>PART)$/.source.replaceAll('PART', PART);
  const { schema, name } = new RegExp(match, 'u').exec(text)?.groups ?? {};
  if (name === undefined || text.includes('\0')) {
    throw new PgwatchError(
      'table_unsuitable',
      `${JSON.stringify(text)} is not a table name: write users or app.users, and put names that` +
        ' contain a dot in double quotes, like app."a.b".',
    );
  }
  return { schema: schema === undefined ? null : unquoted(schema), name: unquoted(name) };
}

/** The quoted name, for SQL. */
export function quotedTable({ schema, name }: { schema: string; name: string }): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

/** The name as parseTableName() reads it: parts that contain a dot or a quote are quoted. */
export function tableText({ schema, name }: { schema: string; name: string }): string {
  return [schema, name].map((part) => (/[."]/.test(part) ? quoted(part) : part)).join('.');
}

/** The schemas in which the connection searches for a table without a schema. */
export async function readSearchPath(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ schemas: string[] }>(
    'select current_schemas(false)::text[] as schemas',
  );
  return rows[0]?.schemas ?? [];
}

/** The search path of the role and the database, even if the connection has set another one. */
export async function readDefaultSearchPath(client: ClientBase): Promise<string[]> {
  return withTransaction(client, async () => {
    const { rows } = await client.query<{ path: string }>(
      `select pg_catalog.current_setting('search_path') as path,
         pg_catalog.set_config('search_path', reset_val, true)
       from pg_catalog.pg_settings where name = 'search_path'`,
    );
    const schemas = await readSearchPath(client);
    await client.query(`select pg_catalog.set_config('search_path', $1, true)`, [rows[0]?.path]);
    return schemas;
  });
}

function unquoted(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
}

function quoted(part: string): string {
  return `"${part.replaceAll('"', '""')}"`;
}

const PART = '(?:"(?:[^"]|"")+"|[^".]+)';
