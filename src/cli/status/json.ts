import type { ConsumerView } from '../../inspect/consumer-view.ts';
import type { DaemonView } from '../../inspect/daemons.ts';
import type { Status } from '../../inspect/status.ts';

/** The status for programs. */
export function statusJson({ at, daemons, log, consumers }: Status): Record<string, unknown> {
  return {
    at,
    daemons: daemons.map(daemonJson),
    log,
    consumers: consumers.map((consumer) => consumerJson(consumer, at)),
  };
}

/** A consumer for programs, without its position. */
export function consumerJson(view: ConsumerView, at: Date): Record<string, unknown> {
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

function daemonJson({ activity, ...daemon }: DaemonView): Record<string, unknown> {
  const { version, mode, pollMs } = activity;
  return { ...daemon, version, mode, pollMs };
}
