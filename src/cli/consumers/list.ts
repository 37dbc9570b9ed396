import { readStatus } from '../../inspect/status.ts';
import { consumerReport } from '../../inspect/status-report.ts';
import { consumerChannel } from '../../log/channels.ts';
import { withDatabase } from '../database.ts';
import { reporterFor } from '../options.ts';
import { describeLag, describeOwner } from '../status/cells.ts';
import { printJson, printTable } from '../table.ts';
import type { ListOptions } from './options.ts';

/** Lists the consumers in the database. */
export async function listConsumers(options: ListOptions): Promise<void> {
  const { at, consumers } = await withDatabase(options, { mode: 'read' }, (client, { schema }) =>
    readStatus(client, schema, null),
  );
  if (options.json) return printJson(consumers.map((consumer) => consumerReport(consumer, at)));
  if (consumers.length === 0) {
    reporterFor(options).info(
      'There are no consumers yet. "pgwatch listen" registers the ones it runs.',
    );
    return;
  }
  printTable(
    ['CONSUMER', 'STATE', 'OWNER', 'LAG', 'DEAD', 'CHANNELS'],
    consumers.map((consumer) => [
      consumer.consumerId,
      consumer.state,
      describeOwner(consumer),
      describeLag(consumer),
      consumer.dead.toLocaleString('en'),
      consumer.channels.filter((each) => each !== consumerChannel(consumer.consumerId)).join(', '),
    ]),
  );
}
