import type { ClientBase } from 'pg';
import type { TriggerOptions } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { toError } from '../errors.ts';
import { staleness } from './changes.ts';
import { type ExistingCapture, optionsOf, readCaptures } from './existing.ts';
import { type Loss, readLosses } from './losses.ts';
import { planCapture } from './plan.ts';
import { readTables, type Table } from './table.ts';

/** How a captured table stands. */
export type CaptureState = {
  table: Table;
  existing: ExistingCapture;
  options: TriggerOptions;
  /** True where somebody wrote a trigger by hand: nothing is said about whether that is right. */
  isByHand: boolean;
  /** The names of its triggers that do not fire: disabled, or for replication only. */
  disabled: string[];
  /** In what it no longer fits the table, as 'id id → tenant, id'; none: it is current. */
  stale: string[];
  /** What it does not tell, or tells wrongly, but for triggers that do not fire. */
  losses: Loss[];
};

/** Reads how the captured tables stand, in order of their names: these, or all. */
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
