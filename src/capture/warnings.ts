import pg from 'pg';
import { OPERATIONS, type TriggerOptions } from '../config/triggers.ts';
import type { CaptureLevel } from './level.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';
import { TRIGGER_PREFIX } from './trigger-sql.ts';

/** Says why a cast to json is not used, and how to change that. */
export function foreignCastsText(table: Table): string {
  const [first] = table.foreignCasts;
  return (
    `Values of the type ${first} in ${tableText(table)} are captured as text, because the type or` +
    ' the function of its cast to json belongs to a role that may not act as the owner of' +
    ' pgwatch. To use the cast, let a superuser own both.'
  );
}

/** True if the operations do not include all those that an UPDATE of a partitioned table can be. */
function lacksMoves({ operations = OPERATIONS }: TriggerOptions): boolean {
  const count = MOVES.filter((each) => operations.includes(each)).length;
  return count > 0 && count < MOVES.length;
}

const MOVES = ['insert', 'update', 'delete'] as const;

/** Says who cannot add partitions to a captured table, and how to change that; null: nobody. */
export function hinderedText({ hinderedOwners, ...table }: Table): string | null {
  if (hinderedOwners.length === 0) return null;
  const roles = hinderedOwners.map((role) => JSON.stringify(role)).join(', ');
  return (
    `${hinderedOwners.map((role) => pg.escapeIdentifier(role)).join(', ')} cannot add partitions` +
    ` to ${tableText(table)} while it is captured, because each gets the triggers ("permission` +
    ` denied for function"). Add roles: { capture: [${roles}] } to the config` +
    ' and run "pgwatch migrate".'
  );
}

/** Warnings about the capture of a table: full sentences. */
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
      `${name} has no primary key: its notifications have no id, and all of them stay in order.` +
        ' Add a primary key, or name columns with the option key.',
    virtual.length > 0 &&
      `${virtual.join(', ')} of ${name} is virtual: triggers do not see its value, so no payload` +
        ' contains it.',
    table.kind === 'inherited' &&
      `${name} has parents or children: their rows are captured only if those tables are` +
        ' captured, too.',
    table.kind === 'partition' &&
      `Notifications of ${name} have the name of` +
        ` ${table.root ? tableText(table.root) : 'the whole table'}, and TRUNCATE of ${name}` +
        ' publishes none. Capture the whole table instead.',
    table.kind === 'partitioned' &&
      `Nothing is published for the rows of a partition of ${name} that is added by ATTACH` +
        ' PARTITION, or truncated, detached or dropped by itself: "pgwatch snapshot" publishes' +
        ' existing rows.',
    table.kind === 'partitioned' &&
      lacksMoves(options) &&
      `An UPDATE that moves a row of ${name} to another partition counts as a DELETE and an` +
        ' INSERT: with only some of these operations it is published in part or not at all.',
    hinderedText(table) ?? false,
    table.isKeyDeferrable &&
      `The primary key of ${name} is deferrable: if two rows have the same key for a while, for` +
        ' example when they swap keys' +
        ` ${level.forEach === 'row' ? 'within a statement' : 'in two statements'}, the DELETE of` +
        ' one comes after the INSERT of the other.',
    table.refersToItself &&
      level.forEach === 'statement' &&
      `A foreign key may change ${name} within a statement, and its changes may be recorded in a` +
        ` different order than they were made. Capture ${name} for each row.`,
    earlier.length > 0 &&
      `${earlier.join(', ')} on ${name} runs before the capture: its changes to ${name} are` +
        ' recorded before the change that caused them.',
  ];
  return [...blindSpots(table), ...warnings.filter((warning) => typeof warning === 'string')];
}

/** Ways in which rows of such a table can appear or vanish without a trigger: full sentences. */
export function blindSpots({ foreignPartitions, unlogged, ...table }: Table): string[] {
  const name = tableText(table);
  return [
    ...(foreignPartitions.length > 0
      ? [
          `${list(foreignPartitions)} of ${name} is a foreign table: changes to it are captured` +
            ' only in part or not at all. Capture it on its own server.',
        ]
      : []),
    ...(unlogged.length > 0
      ? [
          `${list(unlogged)} is unlogged: a crash of the server empties it without a` +
            ' notification, and a standby does not have its rows.' +
            ' "alter table … set logged" fixes that.',
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
