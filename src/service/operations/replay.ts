import type { ClientBase } from 'pg';
import { PgwatchError } from '../../errors.ts';
import { type FiledReplay, fileReplay } from '../../log/by-hand/replay-file.ts';
import { readMissing } from '../../log/by-hand/replay-missing.ts';
import {
  countStretch,
  readStretch,
  type Stretch,
  type StretchCount,
  type StretchEntry,
} from '../../log/by-hand/replay-stretch.ts';
import { countOf } from '../../words.ts';
import { describeMissing, describeNone } from './replay-missing.ts';

export type ReplayRequest = {
  stretch: Stretch;
  /** How many times as fast as they were written; null: as fast as possible. */
  speed: number | null;
  /** Only counts them. */
  dryRun: boolean;
};

/** What a replay delivers again; with dryRun, what it would. */
export type ReplayReport = Omit<StretchCount, 'settled'> & {
  consumerId: string;
  /** How many were settled, and match. */
  matching: number;
  dryRun: boolean;
  /** How many are delivered again: fewer or more if the consumer has worked meanwhile. */
  filed: number;
  /** The first few of them. */
  first: StretchEntry[];
  /** Why there is less to replay than was asked for, if that is known. */
  messages: string[];
};

/** A replay that was asked for; filed is null if there was nothing to file, or with dryRun. */
export type RequestedReplay = {
  report: ReplayReport;
  filed: FiledReplay | null;
  /** True if ids were given, but none of them is in the log. */
  isNoneThere: boolean;
};

/**
 * Files the notifications of a stretch, to be delivered again.
 * @throws PgwatchError input_invalid if it is more than can be filed at once
 */
export async function requestReplay(
  client: ClientBase,
  schema: string,
  { stretch, speed, dryRun }: ReplayRequest,
): Promise<RequestedReplay> {
  const { settled, ...others } = await countStretch(client, schema, stretch);
  const { consumerId } = stretch;
  if (settled > REPLAY_MAX) throw tooMany(consumerId, settled);
  const first = settled > 0 ? await readStretch(client, schema, stretch, FIRST) : [];
  const missing = await readLess(client, schema, stretch, { settled, ...others });
  const filed =
    dryRun || settled === 0
      ? null
      : await fileReplay(client, schema, { stretch, speed, max: REPLAY_MAX });
  const report = { consumerId, matching: settled, ...others, dryRun, filed: filed?.filed ?? 0 };
  const { messages, isNoneThere } = missing;
  return { report: { ...report, first, messages }, filed, isNoneThere };
}

/** Explains why there is less to replay than was asked for. */
async function readLess(
  client: ClientBase,
  schema: string,
  stretch: Stretch,
  count: StretchCount,
): Promise<Pick<RequestedReplay, 'isNoneThere'> & Pick<ReplayReport, 'messages'>> {
  const { settled, dead, waiting, open } = count;
  const { ids } = stretch;
  if (settled > 0 && settled + dead + waiting + open >= (ids?.length ?? 0)) {
    return { messages: [], isNoneThere: false };
  }
  const missing = await readMissing(client, schema, stretch);
  const messages = describeMissing(stretch, missing);
  if (settled === 0 && messages.length === 0) messages.push(describeNone(count));
  return { messages, isNoneThere: ids !== null && missing.unknownIds.length === ids.length };
}

function tooMany(consumerId: string, count: number): PgwatchError {
  return new PgwatchError(
    'input_invalid',
    `This selects ${countOf(count, 'notification')}; at most ${REPLAY_MAX.toLocaleString('en')} ` +
      'can be replayed at once. Narrow it with --since and --until, or move the position: ' +
      `"pgwatch seek ${consumerId} --to …".`,
  );
}

/** Filing this many takes a second or two, during which the consumer cannot save its work. */
const REPLAY_MAX = 100_000;
const FIRST = 5;
