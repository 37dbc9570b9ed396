import type { TriggerOptions } from '../config/triggers.ts';
import type { CaptureLevel } from './level.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';
import { TRIGGER_PREFIX } from './trigger-sql.ts';

/** Whose casts are not used, and what to do. */
export function foreignCastsText(table: Table): string {
  const [first] = table.foreignCasts;
  return `Values of the type ${first} in ${tableText(table)} are captured as text: somebody who may not act as the owner of pgwatch owns the type, or the function of its cast to json. To have the cast used, let a superuser own both.`;
}

/** What whoever captures a table should know: whole sentences. */
export function warningsFor(table: Table, options: TriggerOptions, level: CaptureLevel): string[] {
  const name = tableText(table);
  const virtual = table.columns.filter(({ isVirtual }) => isVirtual).map((column) => column.name);
  const isBlind = table.primaryKey.length === 0 && !options.key;
  const earlier = [
    ...(level.forEach === 'statement' ? table.rowTriggers : []),
    ...(level.forEach === 'row' ? table.rowTriggers : table.statementTriggers).filter(
      (trigger) => trigger < TRIGGER_PREFIX,
    ),
  ];
  const warnings = [
    table.foreignCasts.length > 0 && foreignCastsText(table),
    isBlind &&
      `${name} has no primary key: its notifications have no id, and all of them keep their order. Give it one, or name columns by the option key.`,
    virtual.length > 0 &&
      `${virtual.join(', ')} of ${name} is virtual: triggers do not see its value, and no payload holds it.`,
    table.kind === 'inherited' &&
      `${name} inherits, or is inherited from: rows of other tables in the family are captured only if those are added, too.`,
    table.kind === 'partition' &&
      `${name} goes by the name of ${table.root ? tableText(table.root) : 'the whole table'} in its notifications, and says nothing when it is truncated. Capture the whole table instead.`,
    table.kind === 'partitioned' &&
      `A partition of ${name} says nothing of its rows when it comes by ATTACH PARTITION, or is truncated, detached or dropped by itself: "pgwatch snapshot" publishes the rows that are there.`,
    table.isKeyDeferrable &&
      `The primary key of ${name} is deferrable: where rows have the same one for a while, as when two change places ${level.forEach === 'row' ? 'within a statement' : 'in two statements'}, the DELETE of one comes after the INSERT of the other.`,
    table.refersToItself &&
      level.forEach === 'statement' &&
      `A foreign key may change ${name} within a statement: what it does may be recorded in another order than it was done in. Capture ${name} for each row.`,
    earlier.length > 0 &&
      `${earlier.join(', ')} on ${name} runs before the capture: what it changes in ${name} is recorded before what made it change that.`,
  ];
  return [...blindSpots(table), ...warnings.filter((warning) => warning !== false)];
}

/**
 * Where rows of a table come or go without a trigger, as long as it is made like that: whole
 * sentences.
 */
export function blindSpots({ foreignPartitions, unlogged, ...table }: Table): string[] {
  const name = tableText(table);
  return [
    ...(foreignPartitions.length > 0
      ? [
          `${list(foreignPartitions)} of ${name} is a foreign table: what is written there is captured only in part or not at all. Capture it where it lives.`,
        ]
      : []),
    ...(unlogged.length > 0
      ? [
          `${list(unlogged)} is unlogged: a crash of the server empties it, and a standby does not have it, without a notification. "alter table … set logged" mends that.`,
        ]
      : []),
  ];
}

/** The first of many. */
function list(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  return `${names.slice(0, NAMES_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

const NAMES_MAX = 3;
