import type { Queryable } from '../database/connect.ts';
import type { ConsumerActivity, ConsumerState } from '../log/positions/activity.ts';
import { type Lag, readLags } from '../log/positions/lag.ts';
import { type Registered, readRegistered } from '../log/positions/registered.ts';
import { type DaemonView, readDaemons } from './daemons.ts';
import { type Failure, NOTHING_STANDING, readStandings, type Standing } from './standing.ts';

/**
 * What a consumer is doing, in a word. Besides what its daemons report:
 *
 * paused       no daemon may run it
 * pausing      the same, but a handler is still running
 * starting     a daemon has it, and has not reported yet
 * waiting      a live daemon wants it; it takes it within a second or two
 * not running  no daemon wants it
 */
export type ViewState =
  | ConsumerState
  | 'paused'
  | 'pausing'
  | 'starting'
  | 'waiting'
  | 'not running';

/** Everything that is known about the state of a consumer. */
export type ConsumerView = Registered &
  Lag &
  Standing & {
    state: ViewState;
    /** A live daemon runs it, or is about to. */
    isRun: boolean;
    /** The live daemons that run it: one, or several if it is shared. */
    daemons: readonly DaemonView[];
    /** Notifications that all daemons settled lately, per second; null if not known yet. */
    rate: number | null;
    /** How long it takes to settle the unread at this rate; null if that cannot be said. */
    timeLeftMs: number | null;
    lastError: Failure | null;
  };

/**
 * Reads the state of consumers, in order of their ids, and which daemons are alive.
 * @param consumerIds null for all consumers
 */
export async function readConsumerViews(
  client: Queryable,
  schema: string,
  consumerIds: readonly string[] | null,
): Promise<{ daemons: DaemonView[]; consumers: ConsumerView[] }> {
  const registered = await readRegistered(client, schema, consumerIds);
  const daemons = await readDaemons(client, schema);
  const lags = await readLags(client, schema, consumerIds);
  const standings = await readStandings(client, schema, consumerIds);
  const consumers = registered.map((consumer) =>
    viewOf(consumer, daemons, {
      lag: lags.get(consumer.consumerId) ?? NO_LAG,
      standing: standings.get(consumer.consumerId) ?? NOTHING_STANDING,
    }),
  );
  return { daemons, consumers };
}

/** Combines what was read about one consumer. */
export function viewOf(
  consumer: Registered,
  alive: readonly DaemonView[],
  { lag, standing }: { lag: Lag; standing: Standing },
): ConsumerView {
  const { consumerId, isShared, owner } = consumer;
  const daemons = alive.filter(({ daemonId, sharedIds }) =>
    isShared ? sharedIds.includes(consumerId) : daemonId === owner?.daemonId,
  );
  const activities = daemons.flatMap(({ activity }) => activity.consumers[consumerId] ?? []);
  const rate = rateOf(activities);
  const isWanted = alive.some(({ consumerIds, sharedIds }) =>
    [...consumerIds, ...sharedIds].includes(consumerId),
  );
  const told = stateOf(consumer, { daemons, activities, isWanted });
  // It reads at the tail, but is far behind.
  const state = told === 'tail' && lag.unread > TAIL_LAG_MAX ? 'catching up' : told;
  const isRun = isWanted || daemons.length > 0;
  const failures = [standing.lastError, ...activities.map(failureOf)];
  return {
    ...consumer,
    ...lag,
    ...standing,
    // What no daemon is calling any longer waits for a retry.
    retrying: isRun ? standing.retrying : standing.retrying + standing.calling,
    calling: isRun ? standing.calling : 0,
    state,
    isRun,
    daemons,
    rate,
    timeLeftMs: timeLeftOf(lag, state, rate),
    lastError: newest(failures.filter((failure) => failure !== null)),
  };
}

type Running = {
  daemons: readonly DaemonView[];
  activities: readonly ConsumerActivity[];
  isWanted: boolean;
};

function stateOf(
  { isPaused, isShared }: Registered,
  { daemons, activities, isWanted }: Running,
): ViewState {
  const isAtWork = isShared ? activities.length > 0 : daemons.length > 0;
  if (isPaused) return isAtWork ? 'pausing' : 'paused';
  // If several daemons share it, the state that most needs attention counts.
  const told = WORST_FIRST.find((state) => activities.some((each) => each.state === state));
  if (told) return told;
  if (isAtWork || daemons.length > 0) return 'starting';
  return isWanted ? 'waiting' : 'not running';
}

function rateOf(activities: readonly ConsumerActivity[]): number | null {
  const rates = activities.flatMap(({ rate }) => rate ?? []);
  if (rates.length === 0 && activities.length > 0) return null;
  return rates.reduce((sum, rate) => sum + rate, 0);
}

function timeLeftOf({ unread }: Lag, state: ViewState, rate: number | null): number | null {
  if (unread === 0) return 0;
  return STILL.includes(state) || !rate ? null : (unread / rate) * 1000;
}

function failureOf({ lastError }: ConsumerActivity): Failure | null {
  return lastError ? { ...lastError, at: new Date(lastError.at) } : null;
}

function newest(failures: readonly Failure[]): Failure | null {
  return failures.reduce<Failure | null>(
    (last, failure) => (last === null || failure.at > last.at ? failure : last),
    null,
  );
}

/** In these states nothing new is handled, whatever the rate was. */
export const STILL: readonly ViewState[] = ['paused', 'pausing', 'stopped', 'not running'];

const WORST_FIRST: readonly ConsumerState[] = [
  'stopped',
  'retrying',
  'catching up',
  'tail',
  'finishing',
];
/** Two pages of the default size. */
const TAIL_LAG_MAX = 1000;
const NO_LAG: Lag = { unread: 0, isExact: true, oldestAt: null };
