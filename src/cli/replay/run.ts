import type { Client } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { cancelReplays, fileReplay } from '../../log/by-hand/replay-file.ts';
import { readMissing } from '../../log/by-hand/replay-missing.ts';
import {
  countStretch,
  readStretch,
  type Stretch,
  type StretchCount,
} from '../../log/by-hand/replay-stretch.ts';
import { countOf } from '../../words.ts';
import { withDatabase } from '../database.ts';
import { type CommandResult, reporterFor } from '../options.ts';
import { printJson } from '../table.ts';
import { describeStretch, printFirst } from './describe.ts';
import { describeMissing, describeNone } from './nothing.ts';
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
      const count = await countStretch(client, schema, stretch);
      if (count.settled > REPLAY_MAX) throw tooMany(consumerId, count.settled);
      const isFiling = !options.dryRun && count.settled > 0;
      if (!options.json)
        process.stdout.write(`${describeStretch(stretch, count, options.speed)}\n`);
      const missing = await tellMissing(client, schema, { stretch, count, options });
      if (missing.isNoneThere) outcome.exitCode = 1;
      if (!isFiling) return showOnly(client, schema, { stretch, count, options, missing });
      const { speed } = options;
      const filed = await fileReplay(client, schema, { stretch, speed, max: REPLAY_MAX });
      if (filed.filed !== count.settled) {
        reporterFor(options).info(
          `Filed ${countOf(filed.filed, 'notification')} instead of ${count.settled}: ` +
            'the consumer has worked since they were counted.',
        );
      }
      const watched = options.wait
        ? await watchReplay(client, schema, {
            consumerId,
            ...filed,
            reporter: reporterFor(options),
          })
        : null;
      if (watched && watched.dead > 0) outcome.exitCode = 1;
      if (options.json) {
        return printJson({
          ...toJson(stretch, count),
          dryRun: false,
          filed: filed.filed,
          ...watched,
        });
      }
      if (watched) return;
      reporterFor(options).info(
        `Filed ${countOf(filed.filed, 'notification')}: ` +
          `"pgwatch dlq list --state all --consumer ${consumerId}" lists them.`,
      );
    },
  );
}

async function showOnly(
  client: Client,
  schema: string,
  { stretch, count, options, missing }: Asked & { missing: Told },
): Promise<void> {
  const isDryRun = options.dryRun ?? false;
  const first = await readStretch(client, schema, stretch, FIRST);
  const { messages } = missing;
  if (options.json) {
    return printJson({ ...toJson(stretch, count), dryRun: isDryRun, filed: 0, first, messages });
  }
  if (first.length > 0) printFirst(first);
  reporterFor(options).info(
    count.settled === 0
      ? 'There is nothing to replay.'
      : 'Nothing was changed: this was a dry run.',
  );
}

/** Reports why there is less to replay than was asked for, if that is known. */
async function tellMissing(
  client: Client,
  schema: string,
  { stretch, count, options }: Asked,
): Promise<Told> {
  const { settled, dead, waiting, open } = count;
  const { ids } = stretch;
  if (settled > 0 && settled + dead + waiting + open >= (ids?.length ?? 0)) {
    return { messages: [], isNoneThere: false };
  }
  const missing = await readMissing(client, schema, stretch);
  const messages = describeMissing(stretch, missing);
  if (settled === 0 && messages.length === 0) messages.push(describeNone(count));
  for (const message of messages) reporterFor(options).info(message);
  return { messages, isNoneThere: ids !== null && missing.unknownIds.length === ids.length };
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

function toJson({ consumerId }: Stretch, { settled, ...count }: StretchCount) {
  return { consumerId, matching: settled, ...count };
}

function tooMany(consumerId: string, count: number): PgwatchError {
  return new PgwatchError(
    'input_invalid',
    `This selects ${countOf(count, 'notification')}; at most ${REPLAY_MAX.toLocaleString('en')} ` +
      'can be replayed at once. Narrow it with --since and --until, or move the position: ' +
      `"pgwatch seek ${consumerId} --to …".`,
  );
}

type Asked = { stretch: Stretch; count: StretchCount; options: ReplayOptions };

/** What was reported as missing, and whether ids were given but none of them exists. */
type Told = { messages: string[]; isNoneThere: boolean };

/** Filing this many takes a second or two, during which the consumer cannot save its work. */
const REPLAY_MAX = 100_000;
const FIRST = 5;
