import type { ClientBase } from 'pg';
import type { TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { toError } from '../errors.ts';
import { staleness } from './changes.ts';
import { type ExistingCapture, optionsOf, readCaptures } from './existing.ts';
import { type Loss, readLosses } from './losses.ts';
import { planCapture } from './plan.ts';
import { readTables, type Table } from './table.ts';

/** The state of a captured table. */
export type CaptureState = {
  table: Table;
  existing: ExistingCapture;
  options: TriggerOptions;
  /** True if a trigger was created manually; pgwatch does not check whether it is correct. */
  isByHand: boolean;
  /** The names of its triggers that do not fire: disabled, or for replication only. */
  disabled: string[];
  /** How its triggers no longer fit the table, like 'id id → tenant, id'; empty if they do. */
  stale: string[];
  /** Changes that are lost or published wrongly, except those lost to triggers that do not fire. */
  losses: Loss[];
};

/** Reads the state of these captured tables, or of all, in order of their names. */
export async function readCaptureStates(
  client: ClientBase,
  names: Names,
  tableOids: readonly number[] | null = null,
): Promise<CaptureState[]> {
  const captures = await readCaptures(client, names, tableOids);
  const tables = await readTables(
    client,
    names,
    captures.map(({ tableOid }) => tableOid),
  );
  const losses = await readLosses(client, names, tableOids);
  return captures.flatMap((existing) => {
    const table = tables.get(existing.tableOid);
    const own = losses.filter(
      ({ tableOid, kind }) => tableOid === existing.tableOid && kind !== 'silent',
    );
    return table ? [{ ...stateOf(table, existing, names), losses: own }] : [];
  });
}

function stateOf(
  table: Table,
  existing: ExistingCapture,
  names: Names,
): Omit<CaptureState, 'losses'> {
  const { triggers } = existing;
  const options = optionsOf(triggers);
  const isByHand = triggers.some(({ isOurs }) => !isOurs);
  const disabled = triggers.filter(({ isEnabled }) => !isEnabled).map(({ name }) => name);
  const stale = isByHand ? [] : staleReasons(table, options, existing, names);
  return { table, existing, options, isByHand, disabled, stale };
}

function staleReasons(
  table: Table,
  options: TriggerOptions,
  existing: ExistingCapture,
  names: Names,
): string[] {
  try {
    return staleness(planCapture(table, options, names), existing.triggers);
  } catch (thrown) {
    return [toError(thrown).message.replace(/\.$/, '')];
  }
}
