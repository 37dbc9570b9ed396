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
 * Files what the options describe to be handed out once more, and shows how far that is.
 * @throws PgwatchError input_invalid where it is more than can be filed at once
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
          `Filed ${countOf(filed.filed, 'notification')}, and not ${count.settled}: what it has done has changed since they were counted.`,
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
        `Filed ${countOf(filed.filed, 'notification')}: see them with "pgwatch dlq list --state all --consumer ${consumerId}".`,
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
    count.settled === 0 ? 'There is nothing to replay.' : 'Nothing is changed: this was a dry run.',
  );
}

/** Says why there is less than was asked for, as far as that is plain. */
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
      ? 'There is no replay to take back.'
      : `Took ${countOf(cancelled, 'notification')} back that ${cancelled === 1 ? 'was' : 'were'} to be handed to ${consumerId} once more.`,
  );
}

function toJson({ consumerId }: Stretch, { settled, ...count }: StretchCount) {
  return { consumerId, matching: settled, ...count };
}

function tooMany(consumerId: string, count: number): PgwatchError {
  return new PgwatchError(
    'input_invalid',
    `These are ${countOf(count, 'notification')}, and at most ${REPLAY_MAX.toLocaleString('en')} can be replayed at a time: narrow it by --since and --until, or move the position: "pgwatch seek ${consumerId} --to …".`,
  );
}

type Asked = { stretch: Stretch; count: StretchCount; options: ReplayOptions };

/** What was said about what is missing; whether ids were named, and none of them exists. */
type Told = { messages: string[]; isNoneThere: boolean };

/** Filing so many takes a second or two, in which nothing that the consumer has done is saved. */
const REPLAY_MAX = 100_000;
const FIRST = 5;
