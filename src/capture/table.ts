import type { ClientBase } from 'pg';
import { type Names, qualified } from '../database/names.ts';
import { PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import { type TableName, tableText } from './table-name.ts';
import { tablesSql } from './table-sql.ts';

/** What capture needs to know about a table. */
export type Table = {
  oid: number;
  schema: string;
  name: string;
  kind: 'plain' | 'partitioned' | 'partition' | 'inherited';
  /** The columns of the primary key, in its order; for a partition, those of the whole table. */
  primaryKey: string[];
  /**
   * True if the primary key is checked at the end of a statement or later, so rows can have the
   * same key for a while.
   */
  isKeyDeferrable: boolean;
  columns: Column[];
  /** For a partition, the whole table, whose name payloads and keys use; else null. */
  root: { schema: string; name: string } | null;
  /** True if it is a partition and the whole table is captured. */
  isCapturedByRoot: boolean;
  /** True if a subscription writes to it. */
  isSubscribed: boolean;
  /**
   * True if changing one row can change others through foreign keys that lead back to the table,
   * directly or through other tables.
   */
  refersToItself: boolean;
  /** Roles that may not act as the current one, but may create triggers that capture it. */
  forgers: string[];
  /** Types that its columns contain and whose owners may not act as the current role. */
  foreignTypes: string[];
  /**
   * Owners of the table, and of its partitions that are partitioned themselves, who cannot add
   * partitions while it is captured: that requires EXECUTE on the trigger function.
   */
  hinderedOwners: string[];
  /** Partitions that are foreign tables. */
  foreignPartitions: string[];
  /** The table and its partitions, if unlogged: a crash empties them. */
  unlogged: string[];
  /** Other row triggers that run after the change. */
  rowTriggers: string[];
  /** The same for statement triggers. */
  statementTriggers: string[];
  /**
   * Types of its columns whose cast to json belongs to a role that could not act as the owner of
   * the trigger function. The cast is not used, because it would run with the privileges of that
   * owner. See row_sql().
   */
  foreignCasts: string[];
};

export type Column = {
  name: string;
  /** From format_type(). */
  type: string;
  /** True for a virtual generated column: triggers do not see its value. */
  isVirtual: boolean;
  /** True if it is converted through json: it may contain what jsonb cannot. See type_kind(). */
  isJson: boolean;
  /** How to write it in a key, so equal values have the same text. See key_writing(). */
  writing: 'plain' | 'number' | 'interval' | 'padded' | 'citext' | 'collated';
};

/**
 * Finds a table that can be captured.
 * @param schemas where to search if the name has no schema
 * @throws PgwatchError table_unsuitable with the reason, if it cannot be captured
 */
export async function findTable(
  client: ClientBase,
  names: Names,
  wanted: TableName,
  schemas: readonly string[],
): Promise<Table> {
  const { rows } = await client.query<Found>(
    `${tablesSql(names)}
    where c.relname = $2 and n.nspname = any($3::text[])
    order by array_position($3::text[], n.nspname::text)`,
    [triggerFunction(names), wanted.name, wanted.schema === null ? schemas : [wanted.schema]],
  );
  const [found] = rows;
  if (!found) throw await unknownTable(client, wanted, schemas);
  const problem = problemWith(found, names);
  if (problem) {
    throw new PgwatchError('table_unsuitable', `${tableText(found)} ${problem}`);
  }
  return tableOf(found);
}

/**
 * All tables in the schemas that can be captured, in order of their names. Partitions are not
 * listed: they are captured with the whole table.
 */
export async function listTables(
  client: ClientBase,
  names: Names,
  schemas: readonly string[],
): Promise<Table[]> {
  const { rows } = await client.query<Found>(
    `${tablesSql(names)}
    where n.nspname = any($2::text[]) and not c.relispartition order by n.nspname, c.relname`,
    [triggerFunction(names), schemas],
  );
  return rows.filter((found) => problemWith(found, names) === null).map(tableOf);
}

/** Reads tables by their oids. */
export async function readTables(
  client: ClientBase,
  names: Names,
  oids: readonly number[],
): Promise<Map<number, Table>> {
  const { rows } = await client.query<Found>(`${tablesSql(names)} where c.oid = any($2::oid[])`, [
    triggerFunction(names),
    oids,
  ]);
  return new Map(rows.map((found) => [found.oid, tableOf(found)]));
}

/** The trigger function, as to_regprocedure() expects it. */
export function triggerFunction({ apiSchema }: Names): string {
  return `${qualified(apiSchema, 'notify_data_change')}()`;
}

type Found = Omit<Table, 'kind'> & {
  relkind: string;
  relpersistence: string;
  isPartition: boolean;
  hasRelatives: boolean;
};

function tableOf({ relkind, relpersistence, isPartition, hasRelatives, ...table }: Found): Table {
  const kind =
    relkind === 'p'
      ? 'partitioned'
      : isPartition
        ? 'partition'
        : hasRelatives
          ? 'inherited'
          : 'plain';
  return { ...table, kind };
}

function problemWith(found: Found, { schema }: Names): string | null {
  if (found.schema === schema) return "is one of pgwatch's own: it would capture itself forever.";
  if (found.schema === 'pg_catalog' || found.schema === 'information_schema') {
    return 'belongs to PostgreSQL, which allows no triggers on it.';
  }
  const kind = KINDS[found.relkind];
  if (kind) return `is ${kind}`;
  if (found.relpersistence === 't') return 'is a temporary table of another session.';
  return null;
}

const KINDS: Record<string, string> = {
  v: 'a view: capture the tables that it reads.',
  m: 'a materialized view, whose rows change without triggers: capture the tables that it reads.',
  f: 'a foreign table, whose rows change without its triggers: capture it on its own server.',
  S: 'a sequence, not a table.',
  i: 'an index, not a table.',
  I: 'an index, not a table.',
  c: 'a type, not a table.',
};

async function unknownTable(client: ClientBase, wanted: TableName, schemas: readonly string[]) {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name
     from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'`,
  );
  const where = wanted.schema === null ? `in ${schemas.join(', ') || 'no schema'}` : '';
  const text =
    wanted.schema === null ? wanted.name : tableText({ ...wanted, schema: wanted.schema });
  const known = rows.flatMap((row) => [
    tableText(row),
    ...(wanted.schema === null ? [row.name] : []),
  ]);
  const elsewhere = rows.filter(({ name }) => name === wanted.name).map(tableText);
  const hint =
    elsewhere.length > 0
      ? ` There is ${elsewhere.join(', ')}.`
      : suggest(text, [...new Set(known)]);
  return new PgwatchError(
    'table_unsuitable',
    `There is no table ${text}${where && ` ${where}`}.${hint}`,
  );
}
