import { OPERATIONS, type TriggerOptions } from '../config/triggers.ts';
import { PgwatchError } from '../errors.ts';
import { someOf } from '../words.ts';
import { argumentsOf, type ExistingTrigger, optionsOf } from './existing.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';

/** The given options merged with those of the existing capture. */
export type PresentOptions = {
  options: TriggerOptions;
  /** The options kept from the existing capture, like 'exclude email'. */
  kept: string[];
};

/** Options that are not given stay as in the existing capture, if there is one. */
export function overPresent(
  table: Table,
  existing: readonly ExistingTrigger[],
  asked: TriggerOptions,
): PresentOptions {
  if (existing.length === 0) return { options: asked, kept: [] };
  if (asked.when === undefined) requireCondition(table, existing);
  const present = Object.entries(presentOptions(table, existing)).filter(
    ([name]) => asked[name as keyof TriggerOptions] === undefined,
  );
  return {
    options: { ...Object.fromEntries(present), ...asked },
    kept: present.map(([name, value]) => `${name} ${[value].flat().join(', ')}`),
  };
}

/**
 * @throws PgwatchError table_unsuitable if the condition was recorded with an old column name, or
 *   perhaps by a role that is not trusted
 */
function requireCondition(table: Table, existing: readonly ExistingTrigger[]): void {
  const { when } = optionsOf(existing);
  if (when !== undefined && table.forgers.length > 0) {
    throw new PgwatchError(
      'table_unsuitable',
      `The condition of ${tableText(table)}, ${when}, may have been recorded by` +
        ` ${someOf(table.forgers)}, who can create triggers on it. Give --when again, as it` +
        ' should be.',
    );
  }
  const outdated = existing.find(({ renamed }) => renamed.length > 0);
  if (!outdated) return;
  throw new PgwatchError(
    'table_unsuitable',
    `The condition of ${tableText(table)}, ${argumentsOf(outdated).when}, was written before a` +
      ` column was renamed to ${outdated.renamed.join(', ')}. Give --when again, as it should be` +
      ' now.',
  );
}

/** The options of the existing capture, without defaults and without dropped columns. */
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
