import {
  countDeliveries,
  type FiledDelivery,
  listDeliveries,
} from '../../log/deliveries/dead-letters.ts';
import type { DeliveryFilter, DeliveryState } from '../../log/deliveries/filter.ts';
import { ageText, countOf, errorText } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { describeState } from '../describe.ts';
import { reporterFor } from '../options.ts';
import { endOfWidth, printJson, printTable, stdoutColumns } from '../table.ts';
import { filterFrom } from './filter.ts';
import type { ListOptions } from './options.ts';

/** Prints the deliveries that the options select. */
export async function listDeadLetters(options: ListOptions): Promise<void> {
  const state = options.state === 'all' ? null : options.state;
  const filter: DeliveryFilter = { ...filterFrom(options), state };
  const { limit } = options;
  await withDatabase(
    options,
    { mode: 'read', consumers: filter.consumerIds ?? [] },
    async (client, { schema }) => {
      const found = await listDeliveries(client, schema, { filter, limit });
      if (options.json) return printJson(found);
      if (found.length > 0) printDeliveries(found, options.state);
      const total =
        found.length < limit ? found.length : await countDeliveries(client, schema, filter);
      const noun = state === 'dead' ? 'dead letter' : 'notification';
      const reporter = reporterFor(options);
      if (total === 0) reporter.info(`There are no such ${noun}s.`);
      if (total > found.length) {
        reporter.info(
          `Showing the newest ${found.length} of ${countOf(total, noun)}; --limit shows more.`,
        );
      }
    },
  );
}

/** Leaves out less useful columns on a narrow terminal. */
function printDeliveries(deliveries: readonly FiledDelivery[], state: DeliveryState | 'all'): void {
  const columns = stdoutColumns();
  const isWide = columns >= 120;
  const keyWidth = columns === Number.POSITIVE_INFINITY ? columns : isWide ? 32 : 16;
  const shown: [heading: string, cell: (delivery: FiledDelivery) => string, isShown?: boolean][] = [
    ['ID', ({ id }) => String(id)],
    ['CONSUMER', ({ consumerId }) => consumerId],
    ['CHANNEL', ({ channel }) => channel ?? '-', isWide],
    ['KEY', ({ key }) => endOfWidth(key ?? '-', keyWidth)],
    ['STATE', describeState, state !== 'dead'],
    ['ATTEMPTS', ({ attempts }) => String(attempts), isWide],
    ['FAILED', ({ lastFailedAt }) => ageText(lastFailedAt)],
    ['ERROR', ({ lastError }) => errorText(lastError)],
  ];
  const fields = shown.filter(([, , isShown = true]) => isShown);
  printTable(
    fields.map(([heading]) => heading),
    deliveries.map((delivery) => fields.map(([, cell]) => cell(delivery))),
  );
}
