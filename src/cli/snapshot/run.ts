import type { Client } from 'pg';
import { type RowCapture, readRowCapture } from '../../capture/row-capture.ts';
import {
  beginSnapshot,
  copyBatch,
  readRowEstimate,
  type TableSnapshot,
} from '../../capture/snapshot.ts';
import type { Table } from '../../capture/table.ts';
import { tableText } from '../../capture/table-name.ts';
import type { Config } from '../../config/define.ts';
import { readHolders } from '../../database/holders.ts';
import { patiently } from '../../database/patience.ts';
import { PgwatchError } from '../../errors.ts';
import { channelTest } from '../../log/channels.ts';
import { readChannels } from '../../log/positions/progress.ts';
import type { StreamReporter } from '../../reporter.ts';
import { formatDuration } from '../../time.ts';
import { countOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { stopSignal } from '../stop-signal.ts';
import { printJson } from '../table.ts';
import { findTables } from '../trigger/tables.ts';
import type { SnapshotOptions } from './options.ts';

/** Publishes a table's rows to a consumer, batch by batch, until the end or a signal. */
export async function snapshot(
  tableName: string,
  options: SnapshotOptions,
  outcome: CommandResult,
): Promise<void> {
  const reporter = reporterFor(options);
  const signal = stopSignal(reporter);
  const consumerId = options.consumer;
  const { batchSize } = options;
  await withDatabase(
    options,
    { mode: 'change', consumers: [consumerId] },
    async (client, config) => {
      const [table] = (await findTables(client, config, [tableName])) as [Table];
      const wanted = { consumerId, table, batchSize };
      const captured = await readRowCapture(client, config, table, consumerId);
      const channels = await readChannels(client, config.schema, consumerId);
      warnAbout(wanted, captured, channels, reporter);
      const startedAt = performance.now();
      const { done, isFinished } = await copyAll(client, config, wanted, {
        again: options.again ?? false,
        reporter,
        signal,
      });
      const name = tableText(table);
      if (options.json) printJson({ table: name, consumerId, rows: done, isFinished });
      const took = formatDuration(performance.now() - startedAt);
      const rows = `${countOf(done, 'row')} of ${name}`;
      if (isFinished) return reporter.info(`Published ${rows} to ${consumerId} in ${took}.`);
      outcome.exitCode = 1;
      reporter.info(`Stopped after ${rows}. Run the same command to continue from there.`);
    },
  );
}

async function copyAll(
  client: Client,
  config: Config,
  wanted: TableSnapshot,
  { again, reporter, signal }: { again: boolean; reporter: StreamReporter; signal: AbortSignal },
) {
  const name = tableText(wanted.table);
  const total = await readRowEstimate(client, wanted.table);
  let progress = await beginSnapshot(client, config, wanted, again);
  if (progress.done > 0) {
    reporter.info(`Continuing after ${countOf(progress.done, 'row')} of ${name}.`);
  }
  const onRefused = async () => {
    const holders = await readHolders(client, [wanted.table.oid]);
    reporter.status('');
    reporter.info(`Waiting for rows of ${name}: ${holders}.`);
  };
  let saidAt = performance.now();
  while (!progress.isFinished && !signal.aborted) {
    const work = () => copyBatch(client, config, wanted);
    const copied = await patiently(work, onRefused, { patienceMs: PATIENCE_MS, signal }).catch(
      (thrown: unknown) => {
        if (signal.aborted) return progress;
        throw thrown;
      },
    );
    if (!copied) throw removed(name);
    progress = copied;
    const { done } = progress;
    const share = total > done ? `, ${Math.floor((100 * done) / total)} %` : '';
    const line = `${name}: ${countOf(done, 'row')}${share}`;
    reporter.status(line);
    if (reporter.isInteractive || performance.now() - saidAt < LINE_MS) continue;
    saidAt = performance.now();
    reporter.info(`${line}.`);
  }
  reporter.status('');
  return progress;
}

function warnAbout(
  { consumerId, table }: TableSnapshot,
  { channel, when }: RowCapture,
  channels: readonly string[],
  reporter: StreamReporter,
): void {
  const name = tableText(table);
  if (!channelTest(channels)(channel)) {
    reporter.warn(
      `${consumerId} does not read the channel ${channel}: ` +
        `it gets these rows, but no later changes of ${name}.`,
    );
  }
  if (when !== null) {
    reporter.warn(`All rows of ${name} are published: the condition ${when} applies to changes.`);
  }
}

function removed(name: string): PgwatchError {
  return new PgwatchError(
    'table_unsuitable',
    `Another process has finished or removed this snapshot of ${name} meanwhile: ` +
      'check whether its consumer has what it needs, or run the command again.',
  );
}

const LINE_MS = 5000;
/** Practically unlimited: it reports what it waits for, and Ctrl-C ends it. */
const PATIENCE_MS = 24 * 3_600_000;
