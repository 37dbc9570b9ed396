import type { ClientBase } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { oneOf, wholeNumber } from '../../kinds.ts';
import {
  changeDeadLetters,
  type DeadLetterAction,
  type DeadLetterChange,
  type Picked,
} from '../../log/by-hand/dead-letter-change.ts';
import type { DeliveryFilter } from '../../log/deliveries/filter.ts';
import { checkedOptions, flag } from '../checked-options.ts';
import {
  type ChangeDeadLettersOptions,
  filterOf,
  type ListDeadLettersOptions,
} from './selection.ts';

type Shown = Omit<Picked, 'isChanged'>;

/** Which deliveries were retried or discarded; with dryRun, which would be. */
export type DeadLetterReport<Done extends string = 'retried' | 'discarded'> = {
  [name in Done]: Shown[];
} & {
  dryRun: boolean;
  /** Those selected by id that were left as they are, because they are not dead. */
  left: Shown[];
  /** The ids that select nothing. */
  unknown: number[];
};

/** What has become of the deliveries that an action was asked for. */
export type ChangedDeadLetters = {
  changed: Shown[];
  left: Shown[];
  unknownIds: number[];
};

/** Retries or discards everything that the filter selects. */
export async function changeAll(
  client: ClientBase,
  schema: string,
  change: DeadLetterChange,
): Promise<ChangedDeadLetters> {
  const changed: Shown[] = [];
  const left: Shown[] = [];
  for await (const batch of changeDeadLetters(client, schema, change)) {
    for (const { isChanged, ...shown } of batch) (isChanged ? changed : left).push(shown);
  }
  const known = new Set([...changed, ...left].map(({ id }) => id));
  const unknownIds = (change.filter.ids ?? []).filter((id) => !known.has(id));
  return { changed, left, unknownIds };
}

export function deadLetterReport(
  { action, isDryRun: dryRun }: DeadLetterChange,
  { changed, left, unknownIds }: ChangedDeadLetters,
): DeadLetterReport {
  const done = action === 'retry' ? { retried: changed } : { discarded: changed };
  return { dryRun, ...done, left, unknown: unknownIds } as DeadLetterReport;
}

/** @throws PgwatchError input_invalid */
export function listFrom({ state, limit, ...selection }: ListDeadLettersOptions): {
  filter: DeliveryFilter;
  limit: number;
} {
  const of = 'deadLetters.list()';
  const { state: chosen = 'dead', limit: most = LIMIT_DEFAULT } = checkedOptions(
    of,
    { state, limit },
    { state: oneOf('dead', 'retry', 'blocked', 'all'), limit: wholeNumber(1) },
  );
  const filter = filterOf(of, selection);
  return { filter: { ...filter, state: chosen === 'all' ? null : chosen }, limit: most };
}

/** @throws PgwatchError input_invalid, also unless either all or a selection is given */
export function changeFrom(
  action: DeadLetterAction,
  { all, dryRun, ...selection }: ChangeDeadLettersOptions,
): DeadLetterChange {
  const of = `deadLetters.${action}()`;
  const flags = checkedOptions(of, { all, dryRun }, { all: flag, dryRun: flag });
  const filter = filterOf(of, selection);
  const isSelection = Object.values(filter).some((value) => value !== null);
  if (isSelection === (flags.all ?? false)) {
    throw new PgwatchError(
      'input_invalid',
      `${of} needs either a selection, like { consumers: ['email'] } or { ids: [42] }, ` +
        'or { all: true }.',
    );
  }
  return { action, filter, isDryRun: flags.dryRun ?? false };
}

const LIMIT_DEFAULT = 100;
