import type { Queryable } from './connect.ts';
import {
  type ExpectedFunction,
  type ExpectedObject,
  expectedOf,
  readExpected,
} from './expected.ts';
import { readMigrations } from './migrations.ts';
import type { Names } from './names.ts';
import { readLackingTriggers, restoringSql } from './own-triggers.ts';

/** Something that the migrations created and that is missing now, or was changed. */
export type Damaged = ExpectedObject & {
  kind: 'table' | 'partition' | 'index' | 'view' | 'function' | 'trigger';
  /** A description for people. */
  text: string;
};

/** Reads what of these migrations has to be created again, in the order of its creation. */
export async function readDamaged(
  client: Queryable,
  names: Names,
  migrations: ReadonlySet<number>,
): Promise<Damaged[]> {
  // Migrations that have not run yet are left out: their changes are not expected yet.
  const expected = expectedOf(
    names,
    readMigrations().filter(({ number }) => migrations.has(number)),
  );
  const relations = await readRelations(client, names.schema);
  const functions = await readFunctions(client, expected.functions);
  const missing = (kind: Damaged['kind'], objects: readonly ExpectedObject[]) =>
    objects
      .filter(({ name }) => !relations.has(name))
      .map((object) => ({ ...object, kind, text: `${kind} ${names.schema}.${object.name}` }));
  const damaged: Damaged[] = [
    ...missing('table', expected.tables),
    ...missing('partition', expected.partitions),
    ...missing('index', expected.indexes),
    ...missing('view', expected.views),
    ...expected.functions
      .filter((wanted) => !isThere(wanted, functions))
      .flatMap((wanted) =>
        [...wanted.earlier, wanted].map((made) => ({
          ...made,
          kind: 'function' as const,
          sql: made.sql.replace(/^create function/, 'create or replace function'),
          text: `function ${wanted.schema}.${wanted.name}`,
        })),
      ),
    ...(await readLackingTriggers(client, names.schema, expected.triggers)).map((trigger) => ({
      ...trigger,
      kind: 'trigger' as const,
      sql: restoringSql(names.schema, trigger),
      text: `trigger ${trigger.name} of ${names.schema}.${trigger.table}`,
    })),
  ];
  return (
    damaged
      .filter(({ migration }) => migrations.has(migration))
      // Triggers come last: they need their tables and functions, and nothing needs them.
      .sort(
        (a, b) => Number(a.kind === 'trigger') - Number(b.kind === 'trigger') || a.place - b.place,
      )
  );
}

/** Reads a column that our tables lack, which means another version. Null: none is missing. */
export async function readLackingColumn(client: Queryable, names: Names): Promise<string | null> {
  const columns = readExpected(names).tables.flatMap(({ name: table, columns: all }) =>
    all.map(({ name, type }) => ({ table, name, type })),
  );
  const { rows } = await client.query(
    `select c.table_name || '.' || c.name as name
     from unnest($2::text[], $3::text[], $4::text[])
       with ordinality as c (table_name, name, type, place)
     join pg_catalog.pg_class as r on r.relname = c.table_name
     join pg_catalog.pg_namespace as n on n.oid = r.relnamespace and n.nspname = $1
     where not exists (
       select from pg_catalog.pg_attribute as a
       where a.attrelid = r.oid and a.attname = c.name and a.atttypid = to_regtype(c.type))
     order by c.place limit 1`,
    [
      names.schema,
      columns.map(({ table }) => table),
      columns.map(({ name }) => name),
      columns.map(({ type }) => type),
    ],
  );
  return (rows as { name: string }[])[0]?.name ?? null;
}

/** A function as stored in the catalogs. */
export type FoundFunction = {
  schema: string;
  name: string;
  body: string;
  isDefiner: boolean;
  isPinned: boolean;
};

/** Reads the functions with the names of the expected ones. */
export async function readFunctions(
  client: Queryable,
  expected: readonly ExpectedFunction[],
): Promise<FoundFunction[]> {
  const { rows } = await client.query(
    `select n.nspname as schema, p.proname as name, p.prosrc as body, p.prosecdef as "isDefiner",
       coalesce(p.proconfig @> '{"search_path=pg_catalog, pg_temp"}', false) as "isPinned"
     from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
     where n.nspname = any($1) and p.proname = any($2)`,
    [expected.map(({ schema }) => schema), expected.map(({ name }) => name)],
  );
  return rows as FoundFunction[];
}

/** Whether a function exists as the migrations created it. */
export function isThere(wanted: ExpectedFunction, found: readonly FoundFunction[]): boolean {
  return found.some(
    (each) =>
      each.schema === wanted.schema &&
      each.name === wanted.name &&
      (wanted.body === null || each.body === wanted.body) &&
      each.isDefiner === wanted.isDefiner &&
      (each.isPinned || !wanted.isPinned),
  );
}

async function readRelations(client: Queryable, schema: string): Promise<Set<string>> {
  const { rows } = await client.query(
    `select c.relname::text as name from pg_catalog.pg_class as c
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where n.nspname = $1`,
    [schema],
  );
  return new Set((rows as { name: string }[]).map(({ name }) => name));
}
