import { toError } from '../errors.ts';
import type { LogNotification } from '../log/notification.ts';
import { formatDuration } from '../time.ts';
import type { Call } from './context.ts';
import { callWithGaps } from './gaps.ts';
import { callOthers } from './held-keys.ts';
import { DeadLetter, DONE, failureOf, type Outcome, type Outcomes, outcomesOf } from './outcome.ts';
import { withinCall } from './running-call.ts';
import { checkPayload, PayloadRefused } from './schema.ts';

/**
 * Calls the handler. Never throws, and its promise never rejects. Returns no promise if the handler
 * returns none: over a million notifications, promises would cost more than everything else.
 */
export function callHandler(call: Call): Outcomes | Promise<Outcomes> {
  if (call.notifications.some(({ isGap }) => isGap)) {
    return untilEnd(call, callWithGaps(call, callPart));
  }
  const outcomes = callPart(call);
  return outcomes instanceof Promise ? untilEnd(call, outcomes) : outcomes;
}

function callPart(call: Call): Outcomes | Promise<Outcomes> {
  if (call.notifications.some(({ unreadable }) => unreadable !== null)) return callReadable(call);
  return call.consumer.schema ? callChecked(call) : callDirectly(call, call.notifications);
}

function callDirectly(
  call: Call,
  notifications: readonly LogNotification[],
): Outcomes | Promise<Outcomes> {
  const { consumer, context } = call;
  const count = notifications.length;
  const failed = (thrown: unknown) => new Array(count).fill(failureOf(thrown));
  try {
    const result = withinCall(call, () => consumer.handleBatch([...notifications], context));
    if (isPromise(result)) {
      return Promise.resolve(result)
        .then((value) => outcomesOf(value, count, consumer.isBatch))
        .catch(failed);
    }
    if (count === 1 && !Array.isArray(result)) return ONE_DONE;
    return outcomesOf(result, count, consumer.isBatch);
  } catch (thrown) {
    return failed(thrown);
  }
}

/** Unreadable notifications become dead letters, as no retry can help; the others are passed on. */
async function callReadable(call: Call): Promise<Outcomes> {
  const entries = call.notifications.map((notification): LogNotification | Outcome => {
    const { unreadable } = notification;
    return unreadable === null ? notification : { type: 'dead', error: new DeadLetter(unreadable) };
  });
  return callOthers(call, entries, callPart);
}

/** Payloads that do not match the schema become dead letters; the others are passed on. */
async function callChecked(call: Call): Promise<Outcomes> {
  const { schema } = call.consumer;
  const checked = await Promise.all(
    call.notifications.map(async (notification): Promise<LogNotification | Outcome> => {
      try {
        const own = schema?.schemaOf(notification.channel) ?? null;
        if (own === null) return notification;
        return notification.withPayload(await checkPayload(own, notification.payload));
      } catch (thrown) {
        return thrown instanceof PayloadRefused
          ? { type: 'dead', error: thrown }
          : failureOf(thrown);
      }
    }),
  );
  return callOthers(call, checked, (part) => callDirectly(part, part.notifications));
}

/** Waits for the handler, until its timeout or until the daemon stops waiting for handlers. */
async function untilEnd(call: Call, running: Promise<Outcomes>): Promise<Outcomes> {
  const { consumer, context, abandon } = call;
  const { timeoutMs } = consumer;
  let timer: NodeJS.Timeout | undefined;
  const graceTimers: NodeJS.Timeout[] = [];
  const cut = Promise.withResolvers<Outcome>();
  const giveUpLater = (outcome: Outcome) => {
    const giveUp = () => {
      cut.resolve(outcome);
      context.giveUp();
    };
    graceTimers.push(setTimeout(giveUp, GRACE_MS));
  };
  const checkTime = () => {
    // A limit that is set later ends later than this timer.
    const leftMs = Math.min(context.leftMs(timeoutMs), timeoutMs);
    if (leftMs > 0) {
      timer = setTimeout(checkTime, leftMs);
      return;
    }
    const error = new TimeoutError(timeoutMs);
    context.abort(error);
    // Handlers that observe their signal end now, with an error of their own.
    giveUpLater(failureOf(error));
  };
  checkTime();
  const onAbandon = () => {
    context.abandon(toError(abandon.reason));
    giveUpLater({ type: 'abandoned' });
  };
  if (abandon.aborted) onAbandon();
  else abandon.addEventListener('abort', onAbandon, { once: true });
  try {
    const given = cut.promise.then((outcome) => allOf(call, outcome));
    const outcomes = await Promise.race([given, running]);
    return context.isInterrupted ? outcomes.map(unlessFailed) : outcomes;
  } finally {
    clearTimeout(timer);
    for (const grace of graceTimers) clearTimeout(grace);
    abandon.removeEventListener('abort', onAbandon);
  }
}

/** The handler has not returned in time; it may still be running. */
export class TimeoutError extends Error {
  constructor(timeoutMs: number) {
    super(`the handler did not return within ${formatDuration(timeoutMs)}`);
    this.name = 'TimeoutError';
  }
}

function allOf({ notifications }: Call, outcome: Outcome): Outcomes {
  return new Array(notifications.length).fill(outcome);
}

/**
 * A failure does not count if pgwatch interrupted the call, unless the handler threw RetryAfter or
 * DeadLetter.
 */
function unlessFailed(outcome: Outcome): Outcome {
  const isFailure = outcome.type === 'failed' && outcome.retryAfterMs === null;
  return isFailure ? { type: 'abandoned' } : outcome;
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function';
}

const ONE_DONE: Outcomes = Object.freeze([DONE]);
/** How long a handler may take to end after its signal has aborted. */
const GRACE_MS = 500;
