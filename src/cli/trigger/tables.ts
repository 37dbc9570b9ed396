import type { Client } from 'pg';
import { findTable, listTables, type Table } from '../../capture/table.ts';
import { parseTableName, readDefaultSearchPath } from '../../capture/table-name.ts';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { splitList } from '../options.ts';
import type { AddOptions } from './options.ts';

/**
 * Finds tables by their names; each is returned once.
 * @throws PgwatchError table_unsuitable if one does not exist or cannot be captured
 */
export async function findTables(
  client: Client,
  config: Config,
  texts: readonly string[],
): Promise<Table[]> {
  const names = texts.map(parseTableName);
  const path = await readDefaultSearchPath(client);
  const tables = new Map<number, Table>();
  for (const name of names) {
    const table = await findTable(client, config, name, path);
    tables.set(table.oid, table);
  }
  return [...tables.values()];
}

/**
 * Finds tables by their names, or all tables of schemas except some.
 * @throws PgwatchError usage, table_unsuitable
 */
export async function chooseTables(
  client: Client,
  config: Config,
  texts: readonly string[],
  choice: Pick<AddOptions, 'all' | 'schema' | 'except'>,
): Promise<Table[]> {
  const schemas = splitList(choice.schema) ?? [];
  if (!choice.all) {
    if (texts.length === 0) throw usage('Choose the tables: give names, or --all --schema app.');
    if (schemas.length > 0 || choice.except) {
      throw usage('--schema and --except require --all.');
    }
    return findTables(client, config, texts);
  }
  if (texts.length > 0) throw usage('Give either the names of tables or --all, not both.');
  if (schemas.length === 0) throw usage('--all requires --schema, for example --all --schema app.');
  const except = await findTables(client, config, choice.except ?? []);
  const excluded = new Set(except.map(({ oid }) => oid));
  const tables = await listTables(client, config, schemas);
  const chosen = tables.filter(({ oid }) => !excluded.has(oid));
  if (chosen.length === 0) {
    throw new PgwatchError(
      'table_unsuitable',
      `There are no tables to capture in ${schemas.join(', ')}.`,
    );
  }
  return chosen;
}

function usage(message: string): PgwatchError {
  return new PgwatchError('usage', message);
}
