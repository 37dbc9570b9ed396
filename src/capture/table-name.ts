import pg, { type ClientBase } from 'pg';
import { withTransaction } from '../database/transaction.ts';
import { PgwatchError } from '../errors.ts';

/** A table's name as somebody gave it; without a schema it is looked for on the search path. */
export type TableName = { schema: string | null; name: string };

/**
 * Reads users, app.users, "Order items" or app."a.b": a dot separates, double quotes hold together
 * what has one in it. Letters count as they are written.
 * @throws PgwatchError table_unsuitable where it is no name
 */
export function parseTableName(text: string): TableName {
  if (typeof text !== 'string') {
    throw new PgwatchError(
      'table_unsuitable',
      `A table is given by its name, not by ${typeof text}.`,
    );
  }
  const match = /^(?:(?<schema>PART)\.)?(?<name>PART)$/.source.replaceAll('PART', PART);
  const { schema, name } = new RegExp(match, 'u').exec(text)?.groups ?? {};
  if (name === undefined || text.includes('\0')) {
    throw new PgwatchError(
      'table_unsuitable',
      `${JSON.stringify(text)} is no table's name: write users or app.users, and put what has a dot in it in double quotes, as in app."a.b".`,
    );
  }
  return { schema: schema === undefined ? null : unquoted(schema), name: unquoted(name) };
}

/** As SQL writes it. */
export function quotedTable({ schema, name }: { schema: string; name: string }): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

/** As parseTableName reads it: what has a dot or a quote in it in quotes. */
export function tableText({ schema, name }: { schema: string; name: string }): string {
  return [schema, name].map((part) => (/[."]/.test(part) ? quoted(part) : part)).join('.');
}

/** The schemas in which the connection looks for a table without one. */
export async function readSearchPath(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ schemas: string[] }>(
    'select current_schemas(false)::text[] as schemas',
  );
  return rows[0]?.schemas ?? [];
}

/** Those of the role and the database, where the connection has been given another path since. */
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
