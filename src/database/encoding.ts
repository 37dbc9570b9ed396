import { PgwatchError } from '../errors.ts';
import type { Queryable } from './connect.ts';

/** Why the encoding has to be UTF8, and what to do. */
export const UTF8_ONLY = {
  why:
    'Payloads are JSON, which can contain any Unicode character: other encodings cannot store ' +
    'them all, and SQL_ASCII accepts bytes that no reader can interpret.',
  fix:
    `Create a database with "create database … encoding 'UTF8' template template0", and move the ` +
    'data there with pg_dump and pg_restore.',
};

export async function readEncoding(client: Queryable): Promise<{ name: string; encoding: string }> {
  const { rows } = await client.query(
    'select current_database()::text as name, getdatabaseencoding()::text as encoding',
  );
  return rows[0] as { name: string; encoding: string };
}

/** @throws PgwatchError encoding_unsupported, unless the database is in UTF8 */
export async function requireUtf8(client: Queryable): Promise<void> {
  const { name, encoding } = await readEncoding(client);
  if (encoding === 'UTF8') return;
  throw new PgwatchError(
    'encoding_unsupported',
    `Database "${name}" has the encoding ${encoding}, but pgwatch needs UTF8. ${UTF8_ONLY.fix}`,
  );
}
