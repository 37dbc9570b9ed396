import type { Queryable } from '../database/connect.ts';
import type { ConsumerActivity, ConsumerState } from '../log/positions/activity.ts';
import { type Lag, readLags } from '../log/positions/lag.ts';
import { type Registered, readRegistered } from '../log/positions/registered.ts';
import { type DaemonView, readDaemons } from './daemons.ts';
import { type Failure, NOTHING_STANDING, readStandings, type Standing } from './standing.ts';

/**
 * What a consumer does, in a word. Besides what its daemons say of it:
 *
 * paused       nobody is to run it
 * pausing      the same, and a handler still runs
 * starting     a daemon has it, and has not said yet what it does
 * waiting      a daemon that is alive wants it, and nobody has it: it is taken within a second or
 * two not running  nobody wants it
 */
export type ViewState =
  | ConsumerState
  | 'paused'
  | 'pausing'
  | 'starting'
  | 'waiting'
  | 'not running';

/** Everything that is known of how a consumer gets on. */
export type ConsumerView = Registered &
  Lag &
  Standing & {
    state: ViewState;
    /** The daemons that run it: one, or of a shared consumer several; those that are alive. */
    daemons: readonly DaemonView[];
    /**
     * Notifications a second that were settled lately, by all of them; null where that is not known
     * yet.
     */
    rate: number | null;
    /** Until all is settled, if it goes on like that; null where it is not getting there. */
    timeLeftMs: number | null;
    lastError: Failure | null;
  };

/** Reads how consumers get on, in the order of their ids, and who is alive. Null: of all. */
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

/** Puts together what was read of one. */
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
  // It reads from the tail, and is far behind it all the same.
  const state = told === 'tail' && lag.unread > TAIL_LAG_MAX ? 'catching up' : told;
  const failures = [standing.lastError, ...activities.map(failureOf)];
  return {
    ...consumer,
    ...lag,
    ...standing,
    state,
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
  // Of several that share it, what needs looking at is told.
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
  return lastError && { ...lastError, at: new Date(lastError.at) };
}

function newest(failures: readonly Failure[]): Failure | null {
  return failures.reduce<Failure | null>(
    (last, failure) => (last === null || failure.at > last.at ? failure : last),
    null,
  );
}

/** As long as it is one of these, nothing new is handled, whatever the rate was until now. */
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
