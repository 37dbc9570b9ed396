import { readMigrations } from './migrations.ts';
import { fillNames, type Names, readSql } from './names.ts';
import { statementsIn } from './statements.ts';

/**
 * What the migrations create, to the extent that it can be compared with the catalogs of any major
 * version.
 */
export type Expected = {
  tables: ExpectedTable[];
  functions: ExpectedFunction[];
  indexes: ExpectedObject[];
  views: ExpectedObject[];
  triggers: ExpectedTrigger[];
  /** The default partition of the log. */
  partitions: ExpectedObject[];
};

/**
 * The statement that creates it, its migration (0: before all of them), and its place in the order
 * of all statements.
 */
export type ExpectedObject = { name: string; sql: string; migration: number; place: number };

export type ExpectedTable = ExpectedObject & { columns: { name: string; type: string }[] };

export type ExpectedTrigger = ExpectedObject & {
  table: string;
  functionName: string;
  /** As in pg_trigger.tgtype: for each row or statement, before or after, and which events. */
  type: number;
};

export type ExpectedFunction = ExpectedObject & {
  schema: string;
  /** Its parameters, without defaults; a later migration that replaces it has the same ones. */
  takes: string;
  /** Its earlier definitions, which objects created after them may need. */
  earlier: ExpectedObject[];
  /** As in pg_proc.prosrc; null if the catalogs store the body parsed, not as text. */
  body: string | null;
  isDefiner: boolean;
  /** True if it pins its search_path. */
  isPinned: boolean;
};

/** Reads what the migrations create from their files, which are written for this to work. */
export function readExpected(names: Names): Expected {
  return expectedOf(names, readMigrations());
}

/**
 * What these migrations create, in order; if something is created several times, the last counts.
 */
export function expectedOf(
  names: Names,
  migrations: readonly { number: number; sql: string }[],
): Expected {
  const expected: Expected = {
    tables: [],
    functions: [],
    indexes: [],
    views: [],
    triggers: [],
    partitions: [],
  };
  add(expected, readSql('bootstrap.sql'), 0, names);
  for (const { number, sql } of migrations) add(expected, sql, number, names);
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
    for (const view of named(/^create (?:or replace )?view :"schema"\.(\w+)/)) {
      expected.views = [...expected.views.filter(({ name }) => name !== view.name), view];
    }
    for (const found of triggerIn(text)) addTrigger(expected, { ...found, ...filled });
    const [, table, columns] = TABLE.exec(text) ?? [];
    if (table !== undefined)
      expected.tables.push({ name: table, ...filled, columns: columnsIn(columns ?? '') });
    for (const found of functionIn(text, names)) {
      addFunction(expected, { ...found, ...filled, earlier: [] });
    }
  }
}

function addTrigger(expected: Expected, trigger: ExpectedTrigger): void {
  const isSame = (each: ExpectedTrigger) =>
    each.name === trigger.name && each.table === trigger.table;
  expected.triggers = [...expected.triggers.filter((each) => !isSame(each)), trigger];
}

function addFunction(expected: Expected, made: ExpectedFunction): void {
  const isSame = ({ schema, name, takes }: ExpectedFunction) =>
    schema === made.schema && name === made.name && takes === made.takes;
  const before = expected.functions.find(isSame);
  const earlier = before ? [...before.earlier, before] : [];
  expected.functions = [
    ...expected.functions.filter((each) => each !== before),
    { ...made, earlier },
  ];
}

function triggerIn(text: string): Omit<ExpectedTrigger, 'sql' | 'migration' | 'place'>[] {
  const found = TRIGGER.exec(text);
  if (!found) return [];
  const [, name = '', when = '', events = '', table = '', rest = '', functionName = ''] = found;
  const bits = [
    ...(/^for each row/.test(rest) ? [1] : []),
    ...(when === 'before' ? [2] : []),
    ...Object.entries(EVENTS).flatMap(([event, bit]) =>
      new RegExp(`(^|or )${event}`).test(events) ? [bit] : [],
    ),
  ];
  return [{ name, table, functionName, type: bits.reduce((sum, bit) => sum + bit, 0) }];
}

function columnsIn(text: string): ExpectedTable['columns'] {
  return [...text.matchAll(/^ {2}(\w+) ([a-z][\w]*(?:\[\])?)/gm)]
    .filter(([, column = '']) => !/^(primary|unique|check|constraint|foreign)$/.test(column))
    .map(([, column = '', type = '']) => ({ name: column, type }));
}

function functionIn(
  sql: string,
  names: Names,
): Omit<ExpectedFunction, 'sql' | 'migration' | 'place' | 'earlier'>[] {
  const found = FUNCTION.exec(sql);
  if (!found) return [];
  const [, place, name = '', takes = '', header = '', quote, body = ''] = found;
  return [
    {
      schema: place === 'schema' ? names.schema : names.apiSchema,
      name,
      takes: takes
        .replaceAll(/ default [^,]+/g, '')
        .replaceAll(/\s+/g, ' ')
        .trim(),
      body: quote === undefined ? null : fillNames(body, names),
      isDefiner: /^security definer$/m.test(header),
      isPinned: /^set search_path = pg_catalog, pg_temp$/m.test(header),
    },
  ];
}

/** More statements than any migration has. */
const STATEMENTS_MAX = 10_000;
const TABLE = /^create table(?: if not exists)? :"schema"\.(\w+) \(\n(.*?)^\)/ms;
const FUNCTION = new RegExp(
  String.raw`^create (?:or replace )?function :"(schema|api_schema)"\.(\w+)\((.*?)\)\s+` +
    String.raw`returns (.*?)^(?:as (\$\w*\$)(.*?)\5;|return |begin atomic)`,
  'ms',
);
const TRIGGER = new RegExp(
  String.raw`^create (?:or replace )?trigger (\w+)\s+(before|after) ([\w\s,]+?) ` +
    String.raw`on :"schema"\.(\w+)\s+(.*)\bexecute function :"schema"\.(\w+)\(`,
  's',
);
const EVENTS = { insert: 4, delete: 8, update: 16, truncate: 32 };
