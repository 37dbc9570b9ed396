import type { Duration } from '../../config/define.ts';
import { isObject, type Kind, listOf, oneOf, text } from '../../kinds.ts';
import type { Stretch } from '../../log/by-hand/replay-stretch.ts';
import type { SeekTarget } from '../../log/by-hand/seek.ts';
import type { DeliveryFilter, DeliveryState } from '../../log/deliveries/filter.ts';
import {
  anyDuration,
  checkedOptions,
  checkedValue,
  id,
  inputInvalid,
  time,
} from '../checked-options.ts';

/** Selects dead letters: those that match everything given. */
export type DeadLetterSelection = {
  /** Ids of notifications. Retry and discard then also look at what is not dead. */
  ids?: readonly number[];
  consumers?: readonly string[];
  /** A part of the last error; case-insensitive. */
  error?: string;
  /** The age of the last failure, like '2h'. */
  olderThan?: Duration;
  newerThan?: Duration;
  channel?: string;
  key?: string;
};

export type ListDeadLettersOptions = DeadLetterSelection & {
  /** Which deliveries; default 'dead'. Also those that wait: for a retry, or behind another. */
  state?: DeliveryState | 'all';
  /** How many at most. Default 100. */
  limit?: number;
};

export type ChangeDeadLettersOptions = DeadLetterSelection & {
  /** True: all dead letters; instead of a selection. */
  all?: boolean;
  /** True: only reports what would happen. */
  dryRun?: boolean;
};

/** Selects what to deliver again: what matches everything given. */
export type ReplaySelection = {
  /** Created then or later. */
  since?: Date;
  /** Created before it. */
  until?: Date;
  channel?: string;
  key?: string;
  ids?: readonly number[];
};

/** @throws PgwatchError input_invalid */
export function filterOf(of: string, selection: DeadLetterSelection): DeliveryFilter {
  const checked = checkedOptions(of, selection, DEAD_LETTERS);
  return {
    ids: checked.ids ?? null,
    consumerIds: checked.consumers ?? null,
    state: null,
    errorText: checked.error ?? null,
    olderThanMs: checked.olderThan ?? null,
    newerThanMs: checked.newerThan ?? null,
    channel: checked.channel ?? null,
    key: checked.key ?? null,
  };
}

/** @throws PgwatchError input_invalid, also if nothing is selected */
export function stretchOf(consumerId: string, selection: ReplaySelection): Stretch {
  const checked = checkedOptions('replay()', selection, REPLAY);
  const { since = null, until = null, channel = null, key = null, ids = null } = checked;
  if (!(since ?? until ?? channel ?? key ?? ids)) {
    throw inputInvalid(
      'replay() needs since, until, channel, key or ids. To repeat everything, ' +
        `move the position: seek('${consumerId}', 'start')`,
    );
  }
  return { consumerId, since, until, channel, key, ids };
}

/** @throws PgwatchError input_invalid */
export function checkedTarget(to: SeekTarget): SeekTarget {
  const by = isObject(to) ? to.by : undefined;
  if (Number.isSafeInteger(by) && by !== 0) return to;
  return checkedValue("seek(): its target is 'start', 'now', { by: -100 } or", TARGET, to);
}

/**
 * When a pause ends: a time, or in how many milliseconds; null: when it is resumed.
 * @throws PgwatchError input_invalid
 */
export function endOf(until: Date | Duration | null): Date | number | null {
  if (until === null) return null;
  return checkedValue('pause(): until must be a Date or', END, until);
}

const ids = listOf(id, 'ids of notifications');
const TARGET: Kind<SeekTarget> = {
  parse: (value) => oneOf('start', 'now').parse(value) ?? id.parse(value) ?? time.parse(value),
  expected: 'the id of a notification, or a Date',
};

/** How many times as fast. */
export const speed: Kind<number> = {
  parse: (value) => (Number(value) > 0 && Number.isFinite(value) ? Number(value) : undefined),
  expected: 'a number above 0',
};

const END: Kind<Date | number> = {
  parse: (value) => time.parse(value) ?? anyDuration.parse(value),
  expected: "a duration from now like '2h'",
};

const DEAD_LETTERS = {
  ids,
  consumers: listOf(text('an id'), 'ids of consumers'),
  error: text('a text'),
  olderThan: anyDuration,
  newerThan: anyDuration,
  channel: text('a channel'),
  key: text('a key'),
};

const REPLAY = { since: time, until: time, channel: text('a channel'), key: text('a key'), ids };
