import { PgwatchError } from '../../errors.ts';
import type { DeadLetterAction } from '../../log/by-hand/dead-letter-change.ts';
import type { DeliveryFilter } from '../../log/deliveries/filter.ts';
import {
  type ChangedDeadLetters,
  changeAll,
  deadLetterReport,
} from '../../service/operations/dead-letters.ts';
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
  const change = { action, filter, isDryRun: options.dryRun ?? false };
  const changed = await withDatabase(
    options,
    { mode: 'change', consumers: filter.consumerIds ?? [] },
    (client, { schema }) => changeAll(client, schema, change),
  );
  if (options.json) printJson(deadLetterReport(change, changed));
  else report(action, changed, options);
  if (changed.unknownIds.length === 0) return;
  throw new PgwatchError(
    'dead_letter_unknown',
    `There is no such dead letter: ${someOf(changed.unknownIds.map(String))}. ` +
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

function report(
  action: DeadLetterAction,
  { changed, left }: ChangedDeadLetters,
  options: ChangeOptions,
): void {
  const reporter = reporterFor(options);
  const isDryRun = options.dryRun ?? false;
  const rows = [
    ...changed.map((each) => ({ ...each, outcome: action })),
    ...left.map((each) => ({ ...each, outcome: 'left alone' })),
  ];
  if (isDryRun && rows.length > 0) printRows(rows.slice(0, ROWS_SHOWN_MAX));
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

type Row = ChangedDeadLetters['changed'][number] & { outcome: string };

function printRows(rows: readonly Row[]): void {
  printTable(
    ['ID', 'CONSUMER', 'STATE', 'OUTCOME', 'KEY'],
    rows.map(({ id, consumerId, state, outcome, key }) => [
      String(id),
      consumerId,
      state,
      outcome,
      key ?? '-',
    ]),
  );
}

function byConsumer(changed: ChangedDeadLetters['changed']): string {
  const counts = new Map<string, number>();
  for (const { consumerId } of changed) counts.set(consumerId, (counts.get(consumerId) ?? 0) + 1);
  return [...counts].map(([id, count]) => `${id} ${count.toLocaleString('en')}`).join(', ');
}

const DONE: Record<DeadLetterAction, string> = { retry: 'Retrying', discard: 'Discarded' };
const ROWS_SHOWN_MAX = 50;
