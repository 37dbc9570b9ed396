import { readMigrations } from './migrations.ts';
import { fillNames, type Names, readSql } from './names.ts';
import { statementsIn } from './statements.ts';

/** What the migrations make, as far as it can be compared with the catalogs of any major version. */
export type Expected = {
  tables: ExpectedTable[];
  functions: ExpectedFunction[];
  indexes: ExpectedObject[];
  views: ExpectedObject[];
  /** The default partition of the log. */
  partitions: ExpectedObject[];
};

/** How it is made, by which migration (0: before all of them), and its place in the order of all. */
export type ExpectedObject = { name: string; sql: string; migration: number; place: number };

export type ExpectedTable = ExpectedObject & { columns: { name: string; type: string }[] };

export type ExpectedFunction = ExpectedObject & {
  schema: string;
  /** As in pg_proc.prosrc; null where the catalogs hold no text of it, but a parsed one. */
  body: string | null;
  isDefiner: boolean;
  /** It pins its search_path. */
  isPinned: boolean;
};

/** Reads the files of the migrations, which are written so that this can be found in them. */
export function readExpected(names: Names): Expected {
  const expected: Expected = { tables: [], functions: [], indexes: [], views: [], partitions: [] };
  add(expected, readSql('bootstrap.sql'), 0, names);
  for (const { number, sql } of readMigrations()) add(expected, sql, number, names);
  return expected;
}

function add(expected: Expected, sql: string, migration: number, names: Names): void {
  for (const [index, text] of statementsIn(sql).entries()) {
    const place = migration * STATEMENTS_MAX + index;
    const filled = { sql: fillNames(text, names), migration, place };
    const named = (pattern: RegExp) => {
      const name = pattern.exec(text)?.[1];
      return name === undefined ? [] : [{ name, ...filled }];
    };
    expected.partitions.push(...named(/^create table :"schema"\.(\w+) partition of/));
    expected.indexes.push(...named(/^create (?:unique )?index (\w+)/));
    expected.views.push(...named(/^create view :"schema"\.(\w+)/));
    const [, table, columns] = TABLE.exec(text) ?? [];
    if (table !== undefined)
      expected.tables.push({ name: table, ...filled, columns: columnsIn(columns ?? '') });
    expected.functions.push(...functionIn(text, names).map((found) => ({ ...found, ...filled })));
  }
}

function columnsIn(text: string): ExpectedTable['columns'] {
  return [...text.matchAll(/^ {2}(\w+) ([a-z][\w]*(?:\[\])?)/gm)]
    .filter(([, column = '']) => !/^(primary|unique|check|constraint|foreign)$/.test(column))
    .map(([, column = '', type = '']) => ({ name: column, type }));
}

function functionIn(
  sql: string,
  names: Names,
): Omit<ExpectedFunction, 'sql' | 'migration' | 'place'>[] {
  const found = FUNCTION.exec(sql);
  if (!found) return [];
  const [, place, name = '', , header = '', quote, body = ''] = found;
  return [
    {
      schema: place === 'schema' ? names.schema : names.apiSchema,
      name,
      body: quote === undefined ? null : fillNames(body, names),
      isDefiner: /^security definer$/m.test(header),
      isPinned: /^set search_path = pg_catalog, pg_temp$/m.test(header),
    },
  ];
}

/** More than a migration has. */
const STATEMENTS_MAX = 10_000;
const TABLE = /^create table(?: if not exists)? :"schema"\.(\w+) \(\n(.*?)^\)/ms;
const FUNCTION =
  /^create function :"(schema|api_schema)"\.(\w+)\((.*?)\)\s+returns (.*?)^(?:as (\$\w*\$)(.*?)\5;|return |begin atomic)/ms;
