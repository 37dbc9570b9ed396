import type { Client } from 'pg';
import { cancelReplays } from '../../log/by-hand/replay-file.ts';
import { type RequestedReplay, requestReplay } from '../../service/operations/replay.ts';
import { countOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { describeReplay, printFirst } from './describe.ts';
import { type ReplayOptions, stretchFrom } from './options.ts';
import { watchReplay } from './watch.ts';

/**
 * Files a replay of what the options describe, and shows its progress.
 * @throws PgwatchError input_invalid if it is more than can be filed at once
 */
export async function replay(
  consumerId: string,
  options: ReplayOptions,
  outcome: CommandResult,
): Promise<void> {
  const stretch = stretchFrom(consumerId, options);
  await withDatabase(
    options,
    { mode: 'change', consumers: [consumerId] },
    async (client, { schema }) => {
      if (options.cancel) return cancel(client, schema, consumerId, options);
      const { speed, dryRun = false } = options;
      const requested = await requestReplay(client, schema, { stretch, speed, dryRun });
      if (requested.isNoneThere) outcome.exitCode = 1;
      if (!options.json) print(requested, options);
      const watched =
        requested.filed && options.wait
          ? await watchReplay(client, schema, {
              consumerId,
              ...requested.filed,
              reporter: reporterFor(options),
            })
          : null;
      if (watched && watched.dead > 0) outcome.exitCode = 1;
      if (options.json) printJson({ ...requested.report, ...(watched && { outcome: watched }) });
    },
  );
}

function print({ report, filed }: RequestedReplay, options: ReplayOptions): void {
  const reporter = reporterFor(options);
  const { consumerId, matching, first, messages } = report;
  process.stdout.write(`${describeReplay(report, options.speed)}\n`);
  for (const message of messages) reporter.info(message);
  if (!filed) {
    if (first.length > 0) printFirst(first);
    const isNothing = matching === 0;
    reporter.info(
      isNothing ? 'There is nothing to replay.' : 'Nothing was changed: this was a dry run.',
    );
    return;
  }
  const what = countOf(filed.filed, 'notification');
  if (filed.filed !== matching) {
    reporter.info(
      `Filed ${what} instead of ${matching}: the consumer has worked since they were counted.`,
    );
  }
  if (options.wait) return;
  reporter.info(
    `Filed ${what}: "pgwatch dlq list --state all --consumer ${consumerId}" lists them.`,
  );
}

async function cancel(
  client: Client,
  schema: string,
  consumerId: string,
  options: ReplayOptions,
): Promise<void> {
  const cancelled = await cancelReplays(client, schema, consumerId);
  if (options.json) return printJson({ consumerId, cancelled });
  reporterFor(options).info(
    cancelled === 0
      ? 'There is no replay to cancel.'
      : `Cancelled the replay of ${countOf(cancelled, 'notification')} to ${consumerId}.`,
  );
}
