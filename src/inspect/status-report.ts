import type { ConsumerActivity, DaemonActivity } from '../log/positions/activity.ts';
import type { ConsumerView } from './consumer-view.ts';
import type { DaemonView } from './daemons.ts';
import type { Status } from './status.ts';

/** The state of the log, the daemons and the consumers, for programs. */
export type StatusReport = {
  at: Date;
  daemons: DaemonReport[];
  log: Status['log'];
  consumers: ConsumerReport[];
};

/** A daemon that is alive; also a process that runs consumers by itself. */
export type DaemonReport = Omit<DaemonView, 'activity'> &
  Pick<DaemonActivity, 'version' | 'mode' | 'pollMs'>;

/** The state of a consumer. */
export type ConsumerReport = Omit<ConsumerView, 'position' | 'daemons'> & {
  /** The age of the oldest notification that it has not settled; null if there is none. */
  ageMs: number | null;
  /** The processes that run it, and what each has reported. */
  daemons: (Pick<DaemonView, 'daemonId' | 'host' | 'pid'> & Partial<ConsumerActivity>)[];
};

export function statusReport({ at, daemons, log, consumers }: Status): StatusReport {
  return {
    at,
    daemons: daemons.map(daemonReport),
    log,
    consumers: consumers.map((consumer) => consumerReport(consumer, at)),
  };
}

export function consumerReport(view: ConsumerView, at: Date): ConsumerReport {
  const { position: _, daemons, unread, isExact, oldestAt, ...rest } = view;
  return {
    ...rest,
    unread,
    isExact,
    oldestAt,
    ageMs: oldestAt && Math.max(0, at.getTime() - oldestAt.getTime()),
    daemons: daemons.map(({ daemonId, host, pid, activity }) => ({
      daemonId,
      host,
      pid,
      ...activity.consumers[view.consumerId],
    })),
  };
}

function daemonReport({ activity, ...daemon }: DaemonView): DaemonReport {
  const { version, mode, pollMs } = activity;
  return { ...daemon, version, mode, pollMs };
}
