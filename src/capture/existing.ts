import type { ClientBase } from 'pg';
import { OPERATIONS, type Operation, type TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
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
       t.tgname as name, t.tgtype::int as type, t.tgargs as args, t.tgenabled as enabled
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

/** The options with which pgwatch created these triggers. */
export function optionsOf(triggers: readonly ExistingTrigger[]): TriggerOptions {
  const [first] = triggers;
  const [channel = 'data_change'] = first?.args ?? [];
  const { key, columns, exclude, payload, notify, when, for_each } = argumentsOf(first);
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
  try {
    return JSON.parse(trigger?.args[1] ?? '{}') as CaptureArgument;
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
};

function triggerOf({ name, type, args, enabled }: Found): ExistingTrigger {
  const operations = OPERATIONS.filter((operation) => (type & TYPE_BITS[operation]) !== 0);
  return {
    name,
    operation: operations[0] ?? 'insert',
    operations,
    isRow: (type & 1) !== 0,
    // Each argument ends with a zero byte.
    args: args.toString('utf8').split('\0').slice(0, -1),
    isAlways: enabled === 'A',
    isEnabled: enabled === 'O' || enabled === 'A',
    isOurs: name.startsWith(TRIGGER_PREFIX),
  };
}

/** The bits of tgtype, as in PostgreSQL's pg_trigger.h. */
const TYPE_BITS: Record<Operation, number> = { insert: 4, delete: 8, update: 16, truncate: 32 };
