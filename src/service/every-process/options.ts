import { checkChannels, checkFrom } from '../../consumers/check.ts';
import { PgwatchError, toError } from '../../errors.ts';
import { shown } from '../../kinds.ts';
import type { Gap } from '../../log/gap.ts';
import type { From } from '../../log/positions/beginning.ts';
import { onlyKnown } from '../../suggest.ts';
import { abortSignal, checkedOptions } from '../checked-options.ts';

/** What every process receives by itself: caches to invalidate, for example. */
export type EveryProcessOptions = {
  /** Each process gets every notification. Its position lives in memory, and nowhere else. */
  every: 'process';
  /** The channels that it receives, one or more; patterns like 'orders.*' stand for several. */
  channels: readonly string[];
  /**
   * Where it begins: 'now' (default); 'start', at the oldest notification in the log; or the id of
   * a notification, a Date, or a time in ISO 8601 format.
   */
  from?: 'now' | 'start' | number | Date | string;
  /**
   * Called for notifications that were removed from the log before this process got there: after
   * days without a network, for example. The loop goes on once it returns, and throws what it
   * throws. Default: a warning.
   */
  onGap?(gap: Gap): unknown;
  /** Ends it when it aborts, like leaving the loop. */
  signal?: AbortSignal;
};

/** The same, checked. */
export type EveryProcess = {
  channels: readonly string[];
  from: From;
  onGap: ((gap: Gap) => unknown) | null;
  signal: AbortSignal | null;
};

/** @throws PgwatchError consumer_invalid, input_invalid */
export function everyProcess(options: EveryProcessOptions): EveryProcess {
  const { every, channels, from = 'now', onGap = null, signal = null } = options;
  if ('consumer' in options) throw invalid(NO_CONSUMER);
  onlyKnown(options, OPTIONS, "subscribe() with every: 'process'", 'consumer_invalid');
  if (every !== 'process') throw invalid(`every must be 'process', not ${shown(every)}`);
  if (onGap !== null && typeof onGap !== 'function') throw invalid('onGap must be a function');
  checkedOptions('subscribe()', { signal: signal ?? undefined }, { signal: abortSignal });
  try {
    return { channels: checkChannels(channels), from: checkFrom(from), onGap, signal };
  } catch (thrown) {
    throw invalid(toError(thrown).message);
  }
}

function invalid(reason: string): PgwatchError {
  return new PgwatchError('consumer_invalid', `subscribe(): ${reason}.`);
}

const OPTIONS: readonly string[] = ['every', 'channels', 'from', 'onGap', 'signal'];
const NO_CONSUMER =
  'it has no consumer, because its position is not in the database; leave out every to have one';
