import { parseTableName } from '../../capture/table-name.ts';
import { PgwatchError } from '../../errors.ts';
import type { LogFilter } from '../../log/log-filter.ts';
import type { ReadFrom } from '../../log/reading.ts';
import { suggest } from '../../suggest.ts';
import { momentFrom } from '../moment.ts';
import { splitList } from '../options.ts';
import type { TailOptions } from './options.ts';

/** What to show, and until when. */
export type TailRequest = {
  filter: LogFilter;
  from: ReadFrom;
  until: { id: number } | { time: Date } | null;
  limit: number;
  isFollowing: boolean;
};

/**
 * Reads the options.
 * @param isTerminal whether stdout is a terminal
 * @throws PgwatchError usage
 */
export function requestOf(
  channels: readonly string[],
  options: TailOptions,
  isTerminal: boolean,
): TailRequest {
  const until = options.until === undefined ? null : untilOf(options.until);
  const asked = options.since ? { time: options.since } : fromOf(options.from);
  const isFollowing = options.follow ?? (until === null && (isTerminal || asked === null));
  return {
    filter: filterOf(channels, options),
    from: asked ?? (isFollowing ? 'now' : { last: LAST_COUNT }),
    until,
    limit: options.limit ?? Number.POSITIVE_INFINITY,
    isFollowing,
  };
}

function filterOf(channels: readonly string[], options: TailOptions): LogFilter {
  const lists = {
    channels: splitList(channels.length > 0 ? channels : undefined),
    actions: splitList(options.action)?.map(actionOf),
    tables: splitList(options.table)?.map(parseTableName),
  };
  for (const [name, list] of Object.entries(lists)) {
    // An empty list comes from an unset shell variable, and must not mean all.
    if (list?.length === 0)
      throw usage(`The list of ${name} is empty: give a name, or leave it out.`);
  }
  const { channels: names = null, actions = null, tables = null } = lists;
  return { channels: names, actions, tables, key: options.key ?? null };
}

function actionOf(text: string): string {
  const action = text.toUpperCase();
  if (ACTIONS.includes(action)) return action;
  throw usage(
    `"${text}" is not an action.${suggest(action, ACTIONS)} The actions are ${ACTIONS.join(', ')}.`,
  );
}

function fromOf(text: string | undefined): ReadFrom | null {
  if (text === undefined || text === 'start' || text === 'now') return text ?? null;
  const number = integerOf(text);
  if (number !== undefined) return number < 0 ? { last: -number } : { id: number };
  throw usage(
    `--from takes an id, "start", or a number like -20 for the last 20, not "${text}". ` +
      'For a time, use --since.',
  );
}

function untilOf(text: string): { id: number } | { time: Date } {
  const id = integerOf(text);
  if (id !== undefined && id >= 0) return { id };
  const time = momentFrom(text);
  if (time) return { time };
  throw usage(
    `--until takes an id, an age like 2h, or a time like 2026-11-20T09:30, not "${text}".`,
  );
}

function integerOf(text: string): number | undefined {
  const number = Number(text);
  return /^-?\d+$/.test(text) && Number.isSafeInteger(number) ? number : undefined;
}

function usage(message: string): PgwatchError {
  return new PgwatchError('usage', message);
}

const ACTIONS: readonly string[] = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'SNAPSHOT', 'GAP'];

/** The same as tail(1). */
const LAST_COUNT = 10;
