import type { ClientBase } from 'pg';
import { OPERATIONS, type Operation, type TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { isObject } from '../kinds.ts';
import type { CaptureArgument } from './plan.ts';
import { triggerFunction } from './table.ts';
import { TRIGGER_PREFIX, type Trigger } from './trigger-sql.ts';

/** A trigger that exists. */
export type ExistingTrigger = Trigger & {
  /** False if it was created manually. */
  isOurs: boolean;
  /** All its operations; manually created triggers can have several, like "insert or update". */
  operations: readonly Operation[];
  /** False if it is disabled or fires only in replication. */
  isEnabled: boolean;
  /** Columns that its condition tests and the recorded text does not name: they were renamed. */
  renamed: string[];
};

/** The triggers on a table that call notify_data_change, in order of their names. */
export type ExistingCapture = {
  tableOid: number;
  schema: string;
  name: string;
  triggers: readonly ExistingTrigger[];
};

/**
 * Reads the triggers of these captured tables, or of all; without the clones that partitions have
 * of the triggers of their table.
 */
export async function readCaptures(
  client: ClientBase,
  names: Names,
  tableOids: readonly number[] | null = null,
): Promise<ExistingCapture[]> {
  const { rows } = await client.query<Found>(
    `select c.oid::int8::float8 as "tableOid", n.nspname as schema, c.relname as table,
       t.tgname as name, t.tgtype::int as type, t.tgargs as args, t.tgenabled as enabled,
       array(
         select a.attname::text from pg_catalog.pg_depend as d
         join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = d.refobjsubid
         where d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and d.objid = t.oid
           and d.refobjid = c.oid and d.refobjsubid > 0
         order by a.attnum) as tested
     from pg_catalog.pg_trigger as t
     join pg_catalog.pg_class as c on c.oid = t.tgrelid
     join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
     where t.tgfoid = pg_catalog.to_regprocedure($1) and t.tgparentid = 0
       and ($2::oid[] is null or c.oid = any($2::oid[]))
     order by n.nspname, c.relname, t.tgname`,
    [triggerFunction(names), tableOids],
  );
  const captures = new Map<number, ExistingCapture & { triggers: ExistingTrigger[] }>();
  for (const row of rows) {
    const { tableOid, schema, table } = row;
    const capture = captures.get(tableOid) ?? { tableOid, schema, name: table, triggers: [] };
    captures.set(tableOid, capture);
    capture.triggers.push(triggerOf(row));
  }
  return [...captures.values()];
}

/**
 * The triggers that say how rows are published. Those that pgwatch created agree; manually created
 * ones may not. One for TRUNCATE publishes no rows.
 */
export function rowPublishers(triggers: readonly ExistingTrigger[]): readonly ExistingTrigger[] {
  const forInsert = triggers.filter(({ operations }) => operations.includes('insert'));
  if (forInsert.length > 0) return forInsert;
  const forRows = triggers.filter(({ operations }) =>
    operations.some((each) => each !== 'truncate'),
  );
  return forRows.length > 0 ? forRows : triggers;
}

/** The columns that any of the triggers excludes. */
export function excludedBy(triggers: readonly Trigger[]): string[] {
  return [...new Set(triggers.flatMap((trigger) => argumentsOf(trigger).exclude ?? []))];
}

/** The options with which pgwatch created these triggers. */
export function optionsOf(triggers: readonly ExistingTrigger[]): TriggerOptions {
  const [first] = rowPublishers(triggers);
  const [channel = 'data_change'] = first?.args ?? [];
  const { key, columns, payload, notify, when, for_each } = argumentsOf(first);
  const excluded = excludedBy(triggers);
  const exclude = excluded.length > 0 ? excluded : undefined;
  const operations = OPERATIONS.filter((each) =>
    triggers.some((trigger) => trigger.operations.includes(each)),
  );
  const options = {
    channel,
    operations,
    columns,
    exclude,
    payload,
    when,
    key,
    forEach: for_each,
    notify,
  };
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as TriggerOptions;
}

/** The second argument; empty if it is missing or cannot be parsed. */
export function argumentsOf(trigger: Trigger | undefined): CaptureArgument {
  return parsedArgument(trigger?.args ?? []);
}

/** Without what notify_data_change() refuses: anyone may have written it. */
function parsedArgument([, text = '{}']: readonly string[]): CaptureArgument {
  try {
    const given: unknown = JSON.parse(text);
    if (!isObject(given)) return {};
    const right = Object.entries(given).filter(([name, value]) => HAS_TYPE[name]?.(value));
    return Object.fromEntries(right);
  } catch {
    return {};
  }
}

type Found = {
  tableOid: number;
  schema: string;
  table: string;
  name: string;
  type: number;
  args: Buffer;
  enabled: string;
  /** The columns that its condition tests. */
  tested: string[];
};

function triggerOf({ name, type, args: bytes, enabled, tested }: Found): ExistingTrigger {
  const operations = OPERATIONS.filter((operation) => (type & TYPE_BITS[operation]) !== 0);
  // Each argument ends with a zero byte.
  const args = bytes.toString('utf8').split('\0').slice(0, -1);
  return {
    name,
    operation: operations[0] ?? 'insert',
    operations,
    isRow: (type & 1) !== 0,
    args,
    isAlways: enabled === 'A',
    isEnabled: enabled === 'O' || enabled === 'A',
    isOurs: name.startsWith(TRIGGER_PREFIX),
    renamed: renamedSince(parsedArgument(args).when, tested),
  };
}

const isText = (value: unknown) => typeof value === 'string';
const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText);

/** As in has_wrong_option(). */
const HAS_TYPE: Readonly<Record<string, (value: unknown) => boolean>> = {
  id: isTexts,
  key: isTexts,
  columns: isTexts,
  exclude: isTexts,
  table: (value: unknown) => isTexts(value) && (value as string[]).length === 2,
  fold: (value: unknown) => isObject(value) && Object.values(value).every(isText),
  payload: isText,
  notify: isText,
  when: isText,
  for_each: isText,
} satisfies Record<keyof CaptureArgument, unknown>;

/** PostgreSQL renames the columns in a condition, too, but not in the text that was recorded. */
function renamedSince(condition: string | undefined, tested: readonly string[]): string[] {
  if (condition === undefined) return [];
  return tested.filter((name) => {
    const written = name.replaceAll('"', '""').replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    return !new RegExp(`(?<![\\p{L}\\p{N}_$])${written}(?![\\p{L}\\p{N}_$])`, 'iu').test(condition);
  });
}

/** The bits of tgtype, as in PostgreSQL's pg_trigger.h. */
const TYPE_BITS: Record<Operation, number> = { insert: 4, delete: 8, update: 16, truncate: 32 };
