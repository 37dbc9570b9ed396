import type { ConsumerView, ViewState } from '../../inspect/consumer-view.ts';

/**
 * Puts consumers with problems first, because a small window may cut off the others. Otherwise the
 * order is kept.
 */
export function attentionFirst(consumers: readonly ConsumerView[]): ConsumerView[] {
  return consumers.toSorted((a, b) => rankOf(a) - rankOf(b));
}

function rankOf({ state, dead }: ConsumerView): number {
  if (BROKEN.includes(state)) return 0;
  if (dead > 0) return 1;
  return state === 'tail' ? 3 : 2;
}

const BROKEN: readonly ViewState[] = ['stopped', 'not running', 'retrying'];
