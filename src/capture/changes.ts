import { OPERATIONS } from '../config/triggers.ts';
import type { Names } from '../database/names.ts';
import { PgwatchError } from '../errors.ts';
import { argumentsOf, type ExistingTrigger, excludedBy } from './existing.ts';
import type { Capture } from './plan.ts';
import { tableText } from './table-name.ts';
import { dropSql, type Trigger, triggerSql } from './trigger-sql.ts';

/** What has to be done to capture a table as wanted. */
export type TriggerChange = {
  table: { oid: number; schema: string; name: string };
  kind: 'added' | 'changed' | 'removed' | 'unchanged';
  /** 'payload full → keys', for people. */
  differences: string[];
  /** In order; empty if there is nothing to do. */
  statements: string[];
  /** True if a statement contains a condition. */
  hasCondition: boolean;
  /** Columns that were excluded before and will be in its notifications. */
  exposed: string[];
  /** Computes the change again, for the triggers that the table has now. */
  again(existing: readonly ExistingTrigger[]): TriggerChange;
};

/**
 * The change from the existing triggers of a table to the wanted ones.
 * @throws PgwatchError table_unsuitable if a trigger was created manually: each change would be
 *   recorded twice
 */
export function changesTo(
  capture: Capture,
  existing: readonly ExistingTrigger[],
  names: Names,
): TriggerChange {
  const { table, options } = capture;
  const foreign = existing.find(({ isOurs }) => !isOurs);
  if (foreign) {
    throw new PgwatchError(
      'table_unsuitable',
      `${tableText(table)} is already captured by the manually created trigger` +
        ` ${JSON.stringify(foreign.name)}: drop it first, or run "pgwatch trigger remove".`,
    );
  }
  const wanted = new Set(capture.triggers.map(({ name }) => name));
  const outdated = capture.triggers.filter(
    (trigger) => !existing.some((there) => isSame(there, trigger)),
  );
  const statements = [
    ...existing.filter(({ name }) => !wanted.has(name)).map(({ name }) => dropSql(table, name)),
    // "create or replace" does not reset "enable always".
    ...outdated.flatMap((trigger) => {
      const there = existing.find(({ name }) => name === trigger.name);
      const isInTheWay = there !== undefined && there.isAlways !== trigger.isAlways;
      return [
        ...(isInTheWay || there?.isEnabled === false ? [dropSql(table, trigger.name)] : []),
        ...triggerSql(table, trigger, names, { when: options.when, isThere: there !== undefined }),
      ];
    }),
  ];
  const kind = existing.length === 0 ? 'added' : statements.length === 0 ? 'unchanged' : 'changed';
  const differences = kind === 'changed' ? differencesOf(capture, existing) : [];
  const again = (now: readonly ExistingTrigger[]) => changesTo(capture, now, names);
  const exposed = exposedBy(capture, existing);
  const hasCondition = options.when !== undefined;
  return { table, kind, differences, statements, hasCondition, exposed, again };
}

/**
 * The change that removes the chosen triggers of a table; by default all, including manually
 * created ones.
 */
export function changesToNone(
  table: { oid: number; schema: string; name: string },
  existing: readonly ExistingTrigger[],
  isChosen: (trigger: ExistingTrigger) => boolean = () => true,
): TriggerChange {
  const chosen = existing.filter(isChosen);
  return {
    table,
    kind: chosen.length > 0 ? 'removed' : 'unchanged',
    differences: [],
    hasCondition: false,
    exposed: [],
    statements: chosen.map(({ name }) => dropSql(table, name)),
    again: (now) => changesToNone(table, now, isChosen),
  };
}

/** Warnings about columns that a change exposes. */
export function exposureOf({ table, exposed }: Pick<TriggerChange, 'table' | 'exposed'>): string[] {
  if (exposed.length === 0) return [];
  const name = tableText(table);
  return [
    `${exposed.join(', ')} of ${name} was excluded, but is in its notifications from now on.` +
      ' If that is not intended, exclude it again with --exclude.',
  ];
}

/** True if an existing trigger is as wanted. */
export function isSame(there: ExistingTrigger, trigger: Trigger): boolean {
  return (
    there.name === trigger.name &&
    there.operations.length === 1 &&
    there.operation === trigger.operation &&
    there.isRow === trigger.isRow &&
    there.isAlways === trigger.isAlways &&
    there.isEnabled &&
    there.renamed.length === 0 &&
    JSON.stringify(there.args) === JSON.stringify(trigger.args)
  );
}

function exposedBy({ table, triggers }: Capture, existing: readonly ExistingTrigger[]): string[] {
  const known = table.columns.map(({ name }) => name);
  const after = excludedBy(triggers);
  return excludedBy(existing).filter((name) => known.includes(name) && !after.includes(name));
}

function differencesOf({ table, triggers, level }: Capture, existing: readonly ExistingTrigger[]) {
  const before = describe(existing, existing.some(({ isRow }) => isRow) ? 'row' : 'statement');
  const after = describe(triggers, level.forEach);
  const changed = Object.keys(after).filter((name) => before[name] !== after[name]);
  const disabled = existing.filter(({ isEnabled }) => !isEnabled).map(({ name }) => name);
  const renamed = [...new Set(existing.flatMap((trigger) => trigger.renamed))];
  return [
    ...changed.map((name) => {
      const why = name === 'for each' && level.reason !== null ? ` (${level.reason})` : '';
      return `${name} ${before[name]} → ${after[name]}${why}`;
    }),
    ...(renamed.length > 0
      ? [`when, since a column that it tests is called ${renamed.join(', ')} now`]
      : []),
    ...(disabled.length > 0 ? [`enabled ${disabled.join(', ')} of ${tableText(table)}`] : []),
  ];
}

/** A text for each property that can differ. */
function describe(triggers: readonly Trigger[], forEach: string): Record<string, string> {
  const [first] = triggers as readonly ExistingTrigger[];
  const { id = [], key, table, columns, exclude, payload, fold, notify, when } = argumentsOf(first);
  return {
    channel: first?.args[0] ?? 'data_change',
    operations: OPERATIONS.filter((each) =>
      triggers.some(({ operation }) => operation === each),
    ).join(', '),
    'for each': forEach,
    id: id.join(', ') || 'none',
    key: (key ?? id).join(', ') || 'none',
    table: table?.join('.') ?? 'its own name',
    columns: columns?.join(', ') ?? 'any',
    exclude: exclude?.join(', ') ?? 'none',
    payload: payload ?? 'full',
    fold: fold ? JSON.stringify(fold) : 'none',
    when: when ?? 'always',
    notify: notify ?? 'as set',
    always: String(triggers.some(({ isAlways }) => isAlways)),
  };
}

/** How the triggers of a captured table are outdated; empty if they are current. */
export function staleness(capture: Capture, existing: readonly ExistingTrigger[]): string[] {
  // Disabled triggers are reported separately.
  const enabled = existing.map((there) => ({ ...there, isEnabled: true }));
  const differences = differencesOf(capture, enabled);
  const isCurrent = capture.triggers.every((trigger) =>
    enabled.some((there) => isSame(there, trigger)),
  );
  if (isCurrent) return [];
  if (differences.length > 0) return differences;
  const asked = new Set(existing.map(({ args }) => JSON.stringify(args.slice(0, 2))));
  return [asked.size > 1 ? 'its triggers differ from each other' : 'the arguments of its triggers'];
}
