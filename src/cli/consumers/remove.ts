import type { Client } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { placeOf } from '../../inspect/daemons.ts';
import { type Removed, removeConsumer } from '../../log/by-hand/remove-consumer.ts';
import { someOf } from '../../words.ts';
import { confirm } from '../confirm.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { storedText } from './counts.ts';
import type { RemoveOptions } from './options.ts';

/**
 * Removes consumers, after asking for confirmation.
 * @throws PgwatchError consumer_running while a live daemon runs one of them or waits to run it:
 *   then none is removed
 */
export async function removeConsumers(
  ids: readonly string[],
  options: RemoveOptions,
  outcome: CommandResult,
): Promise<void> {
  const reporter = reporterFor(options);
  const unique = [...new Set(ids)];
  await withDatabase(options, { mode: 'change', consumers: unique }, async (client, { schema }) => {
    const planned = await removeAll(client, schema, { ids: unique, isDryRun: true });
    const plan = planned.map(describe).join('; ');
    if (options.dryRun) {
      reporter.info(`Would remove ${plan}.`);
      if (options.json) printJson({ dryRun: true, removed: planned });
      return;
    }
    if (!(await confirm(`This removes ${plan}.`, options, { outcome, reporter }))) return;
    const removed = await removeAll(client, schema, { ids: unique, isDryRun: false });
    reporter.info(`Removed ${removed.map(describe).join('; ')}.`);
    if (options.json) printJson({ dryRun: false, removed });
  });
}

async function removeAll(
  client: Client,
  schema: string,
  { ids, isDryRun }: { ids: readonly string[]; isDryRun: boolean },
): Promise<Removed[]> {
  const removed: Removed[] = [];
  for (const consumerId of ids) {
    const result = await removeConsumer(client, schema, { consumerId, isDryRun });
    if (result && 'inUse' in result) {
      throw new PgwatchError(
        'consumer_running',
        `${someOf(result.inUse.map(placeOf))} runs ${consumerId}, or waits to run it, and would ` +
          `register it again: stop that daemon, or run it without ${consumerId}.`,
      );
    }
    if (result) removed.push(result.removed);
  }
  return removed;
}

/** 'email, its position at 42 with 5 unread notifications, 2 dead letters'. */
function describe({ consumerId, doneId, isExact, ...counts }: Removed): string {
  const stored = storedText(counts, counts.unread);
  const rest = stored === '' ? '' : ` with ${isExact ? '' : 'about '}${stored}`;
  return `${consumerId}, its position at ${doneId}${rest}`;
}
