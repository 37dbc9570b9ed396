import type { ClientBase } from 'pg';
import type { TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { PgwatchError } from '../errors.ts';
import { changesTo, changesToNone, type TriggerChange } from './changes.ts';
import { readCaptures } from './existing.ts';
import { type Capture, planCapture } from './plan.ts';
import { findTable } from './table.ts';
import { parseTableName, readDefaultSearchPath } from './table-name.ts';

/** The change that a table needs. Capture null: the table is captured but not configured. */
export type CapturePlan = { capture: Capture | null; change: TriggerChange };

/**
 * The changes after which exactly these tables are captured. Manually created triggers are left
 * alone on other tables.
 * @throws PgwatchError table_unsuitable if a table cannot be captured as configured
 */
export async function planCaptures(
  client: ClientBase,
  names: Names,
  triggers: Readonly<Record<string, TriggerOptions>>,
): Promise<CapturePlan[]> {
  const path = await readDefaultSearchPath(client);
  const existing = await readCaptures(client, names);
  const plans: CapturePlan[] = [];
  const named = new Map<number, string>();
  for (const [text, options] of Object.entries(triggers)) {
    const table = await findTable(client, names, parseTableName(text), path);
    const twin = named.get(table.oid);
    if (twin !== undefined) throw sameTable(twin, text);
    named.set(table.oid, text);
    const capture = planCapture(table, options, names);
    const there = existing.find(({ tableOid }) => tableOid === table.oid);
    plans.push({ capture, change: changesTo(capture, there?.triggers ?? [], names) });
  }
  const wanted = new Set(plans.map(({ change }) => change.table.oid));
  for (const { tableOid, schema, name, triggers: there } of existing) {
    const table = { oid: tableOid, schema, name };
    const change = changesToNone(table, there, ({ isOurs }) => isOurs);
    if (!wanted.has(tableOid) && change.kind === 'removed') plans.push({ capture: null, change });
  }
  return plans;
}

function sameTable(first: string, second: string): PgwatchError {
  return new PgwatchError(
    'table_unsuitable',
    `${first} and ${second} in triggers of the config are the same table: keep one of them.`,
  );
}
