import { OPERATIONS, type TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import { type CaptureLevel, chooseLevel } from './level.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';
import { type Trigger, triggerName } from './trigger-sql.ts';
import { warningsFor } from './warnings.ts';

/** How a table is captured: its triggers, and warnings. */
export type Capture = {
  table: Table;
  options: TriggerOptions;
  level: CaptureLevel;
  triggers: Trigger[];
  /** Full sentences. */
  warnings: string[];
};

/** The second argument of notify_data_change(), which documents its fields. */
export type CaptureArgument = {
  id?: readonly string[];
  key?: readonly string[];
  table?: readonly [schema: string, name: string];
  columns?: readonly string[];
  exclude?: readonly string[];
  payload?: string;
  fold?: Readonly<Record<string, string>>;
  notify?: string;
  /** The function ignores these: they record the options, for comparison. */
  when?: string;
  for_each?: string;
};

/**
 * Decides how a table is captured.
 * @throws PgwatchError table_unsuitable if an option does not fit the table
 */
export function planCapture(table: Table, options: TriggerOptions, names: Names): Capture {
  checkColumns(table, options);
  if (options.when !== undefined) checkConditionTypes(table);
  if (table.isCapturedByRoot && table.root) {
    throw unsuitable(
      table,
      `is a partition of ${tableText(table.root)}, which is captured, including its partitions.`,
    );
  }
  const level = chooseLevel(table, options);
  // Truncating a partition does not empty the table whose name its notifications have.
  const operations = OPERATIONS.filter(
    (each) =>
      (options.operations ?? OPERATIONS).includes(each) &&
      (each !== 'truncate' || table.kind !== 'partition'),
  );
  const args = argumentsFor(table, options);
  const [channel = '', argument = ''] = args;
  const triggers = operations.map((operation) => ({
    name: triggerName(names, operation),
    operation,
    isRow: level.forEach === 'row' && operation !== 'truncate',
    // The function's fast path is for rows only.
    args: operation === 'truncate' ? [channel, argument] : args,
    isAlways: table.isSubscribed,
  }));
  return { table, options, level, triggers, warnings: warningsFor(table, options, level) };
}

/** The function's fast path takes the primary key's column, if there are no other options. */
function argumentsFor(table: Table, options: TriggerOptions): string[] {
  const argument = argumentOf(table, options);
  const { id = [], key, columns, exclude, payload, notify } = argument;
  const hasOptions = key || columns || exclude || payload || notify;
  const isEasy = table.columns.every(
    ({ name, isJson, writing }) => !isJson && (writing === 'plain' || !id.includes(name)),
  );
  const isPlain = id.length === 1 && isEasy && !hasOptions;
  return [
    options.channel ?? 'data_change',
    JSON.stringify(argument),
    ...(isPlain ? [...id, ...(argument.table ?? [])] : []),
  ];
}

function argumentOf(table: Table, options: TriggerOptions): CaptureArgument {
  const { key, columns, payload, notify, when, forEach } = options;
  const exclude = excludedColumns(table, options);
  return {
    id: idColumns(table, options),
    ...(key && { key }),
    ...(table.root && { table: [table.root.schema, table.root.name] }),
    ...(columns && { columns }),
    ...(exclude.length > 0 && { exclude }),
    ...(payload && payload !== 'full' && { payload }),
    ...foldOf(table, key ?? idColumns(table, options)),
    ...(notify && { notify }),
    ...(when !== undefined && { when }),
    ...(forEach && forEach !== 'auto' && { for_each: forEach }),
  };
}

/** How to write key columns whose equal values can have different texts. */
function foldOf({ columns }: Table, key: readonly string[]): Pick<CaptureArgument, 'fold'> {
  const folded = columns.filter(
    ({ name, writing }) => key.includes(name) && writing !== 'plain' && writing !== 'number',
  );
  if (folded.length === 0) return {};
  return { fold: Object.fromEntries(folded.map(({ name, writing }) => [name, writing])) };
}

/** The columns that identify a row: the primary key, else the option key. */
function idColumns({ primaryKey }: Table, { key = [] }: TriggerOptions): readonly string[] {
  return primaryKey.length > 0 ? primaryKey : key;
}

function excludedColumns({ columns }: Table, { exclude = [] }: TriggerOptions): string[] {
  const virtual = columns.filter(({ isVirtual }) => isVirtual).map(({ name }) => name);
  return [...new Set([...exclude, ...virtual])];
}

/**
 * A literal in the condition becomes a value of a column's type when the trigger is created, by
 * functions that the type's owner chose, with the privileges of whoever creates it.
 * @throws PgwatchError table_unsuitable
 */
export function checkConditionTypes(table: Table): void {
  const [first] = table.foreignTypes;
  if (first === undefined) return;
  throw unsuitable(
    table,
    `has a column of the type ${first}, whose owner chooses functions that a condition (when)` +
      ' could run with your privileges. Let a superuser own the type, capture without a' +
      ' condition, or run this as a role that the owner is a member of.',
  );
}

function checkColumns(table: Table, { key, columns, exclude, when }: TriggerOptions): void {
  const known = table.columns.map(({ name }) => name);
  for (const [option, list = []] of Object.entries({ key, columns, exclude })) {
    const unknown = list.find((name) => !known.includes(name));
    if (unknown === undefined) continue;
    throw unsuitable(
      table,
      `has no column ${JSON.stringify(unknown)}, which ${option} names.` +
        `${suggest(unknown, known)} Columns are: ${known.join(', ')}.`,
    );
  }
  const unseen = table.columns.filter(({ isVirtual }) => isVirtual).map(({ name }) => name);
  for (const [option, list = []] of Object.entries({ key, columns })) {
    const virtual = list.find((name) => unseen.includes(name));
    if (virtual === undefined) continue;
    throw unsuitable(
      table,
      `has the virtual generated column ${JSON.stringify(virtual)}, which ${option} names, but` +
        ' triggers do not see its value. Name the columns that it is computed from.',
    );
  }
  const needed = [...table.primaryKey, ...(key ?? [])].find((name) => exclude?.includes(name));
  if (needed !== undefined) {
    throw unsuitable(
      table,
      `needs ${JSON.stringify(needed)} in its notifications: it is part of their key.` +
        ' Remove it from exclude, or name other columns as the key.',
    );
  }
  if (when !== undefined && /^\s*$/.test(when)) throw unsuitable(table, 'has an empty condition.');
}

function unsuitable(table: Table, what: string): PgwatchError {
  return new PgwatchError('table_unsuitable', `${tableText(table)} ${what}`);
}
