import { OPERATIONS, type TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import { type CaptureLevel, chooseLevel } from './level.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';
import { type Trigger, triggerName } from './trigger-sql.ts';
import { warningsFor } from './warnings.ts';

/** How a table is captured: its triggers, and what whoever asked for it should know. */
export type Capture = {
  table: Table;
  options: TriggerOptions;
  level: CaptureLevel;
  triggers: Trigger[];
  /** Whole sentences. */
  warnings: string[];
};

/** The second argument of notify_data_change, which documents its fields. */
export type CaptureArgument = {
  id?: readonly string[];
  key?: readonly string[];
  table?: readonly [schema: string, name: string];
  columns?: readonly string[];
  exclude?: readonly string[];
  payload?: string;
  fold?: Readonly<Record<string, string>>;
  notify?: string;
  /** Not read by the function: what was asked for, so that it can be compared. */
  when?: string;
  for_each?: string;
};

/**
 * Decides how a table is captured.
 * @throws PgwatchError table_unsuitable where an option does not fit the table
 */
export function planCapture(table: Table, options: TriggerOptions, names: Names): Capture {
  checkColumns(table, options);
  if (table.isCapturedByRoot && table.root) {
    const message = `is a partition of ${tableText(table.root)}, which is captured: that captures it, too.`;
    throw unsuitable(table, message);
  }
  const level = chooseLevel(table, options);
  // Where one partition is emptied, the table by whose name it goes is not.
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
    // The function's fast way is one for rows.
    args: operation === 'truncate' ? [channel, argument] : args,
    isAlways: table.isSubscribed,
  }));
  return { table, options, level, triggers, warnings: warningsFor(table, options, level) };
}

/** Where nothing else matters, the column of the primary key is enough: the function's fast way. */
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

/** How values of the key that are equal are written the same, where that is not by themselves. */
function foldOf({ columns }: Table, key: readonly string[]): Pick<CaptureArgument, 'fold'> {
  const folded = columns.filter(
    ({ name, writing }) => key.includes(name) && writing !== 'plain' && writing !== 'number',
  );
  if (folded.length === 0) return {};
  return { fold: Object.fromEntries(folded.map(({ name, writing }) => [name, writing])) };
}

/** What tells rows apart: the primary key, else what was given as the key. */
function idColumns({ primaryKey }: Table, { key = [] }: TriggerOptions): readonly string[] {
  return primaryKey.length > 0 ? primaryKey : key;
}

function excludedColumns({ columns }: Table, { exclude = [] }: TriggerOptions): string[] {
  const virtual = columns.filter(({ isVirtual }) => isVirtual).map(({ name }) => name);
  return [...new Set([...exclude, ...virtual])];
}

function checkColumns(table: Table, { key, columns, exclude, when }: TriggerOptions): void {
  const known = table.columns.map(({ name }) => name);
  for (const [option, list = []] of Object.entries({ key, columns, exclude })) {
    const unknown = list.find((name) => !known.includes(name));
    if (unknown === undefined) continue;
    throw unsuitable(
      table,
      `has no column ${JSON.stringify(unknown)}, which ${option} names.${suggest(unknown, known)} Columns are: ${known.join(', ')}.`,
    );
  }
  const unseen = table.columns.filter(({ isVirtual }) => isVirtual).map(({ name }) => name);
  for (const [option, list = []] of Object.entries({ key, columns })) {
    const virtual = list.find((name) => unseen.includes(name));
    if (virtual === undefined) continue;
    throw unsuitable(
      table,
      `has ${JSON.stringify(virtual)}, which ${option} names, as a virtual generated column: triggers do not see its value. Name the columns that it is computed from.`,
    );
  }
  const needed = [...table.primaryKey, ...(key ?? [])].find((name) => exclude?.includes(name));
  if (needed !== undefined) {
    throw unsuitable(
      table,
      `cannot do without ${JSON.stringify(needed)} in its notifications: it is a part of their key. Take it out of exclude, or name other columns as the key.`,
    );
  }
  if (when !== undefined && /^\s*$/.test(when)) throw unsuitable(table, 'has an empty condition.');
}

function unsuitable(table: Table, what: string): PgwatchError {
  return new PgwatchError('table_unsuitable', `${tableText(table)} ${what}`);
}
