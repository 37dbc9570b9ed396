import { PgwatchError } from '../../errors.ts';
import {
  changeDeadLetters,
  type DeadLetterAction,
  type Picked,
} from '../../log/by-hand/dead-letter-change.ts';
import type { DeliveryFilter } from '../../log/deliveries/filter.ts';
import { countOf, someOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { idsFrom } from '../ids.ts';
import { reporterFor } from '../options.ts';
import { printJson, printTable } from '../table.ts';
import { filterFrom } from './filter.ts';
import type { ChangeOptions } from './options.ts';

/**
 * Retries or discards the deliveries that ids and options select, and reports what happened.
 * @throws PgwatchError dead_letter_unknown for an id that is not a dead letter, after handling the
 *   others
 */
export async function change(
  action: DeadLetterAction,
  ids: readonly string[],
  options: ChangeOptions,
): Promise<void> {
  const filter = filterOf(action, ids, options);
  const isDryRun = options.dryRun ?? false;
  const picked: Picked[] = [];
  await withDatabase(
    options,
    { mode: 'change', consumers: filter.consumerIds ?? [] },
    async (client, { schema }) => {
      for await (const batch of changeDeadLetters(client, schema, { action, filter, isDryRun })) {
        picked.push(...batch);
      }
    },
  );
  const knownIds = new Set(picked.map(({ id }) => id));
  const result: Result = {
    action,
    isDryRun,
    changed: picked.filter(({ isChanged }) => isChanged),
    left: picked.filter(({ isChanged }) => !isChanged),
    unknownIds: (filter.ids ?? []).filter((id) => !knownIds.has(id)),
  };
  if (options.json) printJson(toJson(result));
  else report(result, options);
  if (result.unknownIds.length === 0) return;
  throw new PgwatchError(
    'dead_letter_unknown',
    `There is no such dead letter: ${someOf(result.unknownIds.map(String))}. ` +
      `It ${isNarrowed(filter) ? 'does not match the options, ' : ''}has been handled since, ` +
      'was discarded, or never failed.',
  );
}

/** True if both ids and other options are given. */
function isNarrowed({ ids, ...others }: DeliveryFilter): boolean {
  return ids !== null && Object.values(others).some((value) => value !== null);
}

/** @throws PgwatchError usage unless either --all or a selection is given */
function filterOf(
  action: DeadLetterAction,
  idTexts: readonly string[],
  options: ChangeOptions,
): DeliveryFilter {
  const filter = filterFrom(options, idsFrom(idTexts));
  if (options.all && filter.ids) {
    throw new PgwatchError('usage', 'Give either ids or --all, not both.');
  }
  if (!options.all && Object.values(filter).every((value) => value === null)) {
    throw new PgwatchError(
      'usage',
      `Choose the dead letters to ${action}: give ids, a filter like --consumer or --error, ` +
        'or --all.',
    );
  }
  return filter;
}

type Result = {
  action: DeadLetterAction;
  isDryRun: boolean;
  changed: readonly Picked[];
  left: readonly Picked[];
  unknownIds: readonly number[];
};

function toJson({ action, isDryRun, changed, left, unknownIds }: Result): Record<string, unknown> {
  const shown = ({ consumerId, id, key, state }: Picked) => ({ consumerId, id, key, state });
  return {
    dryRun: isDryRun,
    [action === 'retry' ? 'retried' : 'discarded']: changed.map(shown),
    left: left.map(shown),
    unknown: unknownIds,
  };
}

function report({ action, isDryRun, changed, left }: Result, options: ChangeOptions): void {
  const reporter = reporterFor(options);
  const rows = [...changed, ...left];
  if (isDryRun && rows.length > 0) printPicked(rows.slice(0, ROWS_SHOWN_MAX), action);
  const verb = isDryRun ? `Would ${action}` : DONE[action];
  const noun = changed.every(({ state }) => state === 'dead') ? 'dead letter' : 'notification';
  reporter.info(
    changed.length === 0
      ? `There is nothing to ${action}.`
      : `${verb} ${countOf(changed.length, noun)}: ${byConsumer(changed)}.`,
  );
  if (left.length > 0) {
    const shown = left.map(({ consumerId, id, state }) => `${id} of ${consumerId} (${state})`);
    reporter.info(`Left alone because they are not dead: ${someOf(shown)}.`);
  }
  if (isDryRun && rows.length > ROWS_SHOWN_MAX) {
    reporter.info(`Showing the first ${ROWS_SHOWN_MAX}; --json prints all.`);
  }
}

function printPicked(picked: readonly Picked[], action: DeadLetterAction): void {
  printTable(
    ['ID', 'CONSUMER', 'STATE', 'OUTCOME', 'KEY'],
    picked.map(({ id, consumerId, state, isChanged, key }) => [
      String(id),
      consumerId,
      state,
      isChanged ? action : 'left alone',
      key ?? '-',
    ]),
  );
}

function byConsumer(picked: readonly Picked[]): string {
  const counts = new Map<string, number>();
  for (const { consumerId } of picked) counts.set(consumerId, (counts.get(consumerId) ?? 0) + 1);
  return [...counts].map(([id, count]) => `${id} ${count.toLocaleString('en')}`).join(', ');
}

const DONE: Record<DeadLetterAction, string> = { retry: 'Retrying', discard: 'Discarded' };
const ROWS_SHOWN_MAX = 50;
