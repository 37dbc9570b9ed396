import { OPERATIONS, type TriggerOptions } from '../config/triggers.ts';
import { type ExistingTrigger, optionsOf } from './existing.ts';
import type { Table } from './table.ts';

/** What was asked for, over how the table is captured already. */
export type PresentOptions = {
  options: TriggerOptions;
  /** What nobody asked for and the capture that is there has: 'exclude email'. */
  kept: string[];
};

/** A table that is captured already stays captured as it is, but for what is asked. */
export function overPresent(
  table: Table,
  existing: readonly ExistingTrigger[],
  asked: TriggerOptions,
): PresentOptions {
  if (existing.length === 0) return { options: asked, kept: [] };
  const present = Object.entries(presentOptions(table, existing)).filter(
    ([name]) => asked[name as keyof TriggerOptions] === undefined,
  );
  return {
    options: { ...Object.fromEntries(present), ...asked },
    kept: present.map(([name, value]) => `${name} ${[value].flat().join(', ')}`),
  };
}

/** Without what is the default anyway, and without columns that are gone. */
function presentOptions({ kind, columns }: Table, existing: readonly ExistingTrigger[]) {
  const options = optionsOf(existing);
  const isThere = (name: string) => columns.some((column) => column.name === name);
  const usual = OPERATIONS.filter((each) => kind !== 'partition' || each !== 'truncate');
  const hasAll = usual.every((each) => options.operations?.includes(each));
  const isDefault = {
    channel: options.channel === 'data_change',
    operations: hasAll,
    exclude: !options.exclude?.some(isThere),
    columns: !options.columns?.some(isThere),
  };
  const present: TriggerOptions = {
    ...options,
    ...(options.exclude && { exclude: options.exclude.filter(isThere) }),
    ...(options.columns && { columns: options.columns.filter(isThere) }),
  };
  return Object.fromEntries(
    Object.entries(present).filter(([name]) => !isDefault[name as keyof typeof isDefault]),
  );
}
