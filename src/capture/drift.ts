import type { ClientBase } from 'pg';
import type { TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { changesTo, changesToNone, type TriggerChange } from './changes.ts';
import { readCaptures } from './existing.ts';
import { type Capture, planCapture } from './plan.ts';
import { findTable } from './table.ts';
import { parseTableName, readDefaultSearchPath } from './table-name.ts';

/** What one table would need. Capture null: it is captured, and nobody asks for it. */
export type CapturePlan = { capture: Capture | null; change: TriggerChange };

/**
 * What has to change for the captured tables to be these; what was written by hand is nobody's
 * business.
 * @throws PgwatchError table_unsuitable for one that cannot be captured as asked
 */
export async function planCaptures(
  client: ClientBase,
  names: Names,
  triggers: Readonly<Record<string, TriggerOptions>>,
): Promise<CapturePlan[]> {
  const path = await readDefaultSearchPath(client);
  const existing = await readCaptures(client, names);
  const plans: CapturePlan[] = [];
  for (const [text, options] of Object.entries(triggers)) {
    const table = await findTable(client, names, parseTableName(text), path);
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
