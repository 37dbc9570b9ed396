import type { DeliveryChange } from '../../log/deliveries/delivery.ts';
import type { DueDelivery } from '../../log/deliveries/due.ts';
import type { Calling } from './calling.ts';
import { reportFailure } from './report-failure.ts';
import type { Settled, Task } from './task.ts';

/** What to do with deliveries that are due. */
export type RetryWork = {
  /** In order of id. */
  tasks: Task[];
  /** The tasks that are called alone: suspects, and tasks in a chain with one. */
  alone: Set<Task>;
  /** The tasks that are called in groups. */
  grouped: Set<Task>;
  /** Deliveries that become dead letters without another call. */
  dead: Settled[];
};

type RetryOptions = {
  /** True if the server may have crashed over the notification. */
  isSuspected(notificationId: number): boolean;
  /** Where the notification is tracked. */
  placeOf?(notificationId: number): Pick<Task, 'source' | 'index'>;
};

/**
 * Makes tasks of deliveries that are due. Tasks of a key form a chain, which the first failure
 * breaks.
 */
export function retryTasks(
  calling: Calling,
  due: readonly DueDelivery[],
  { isSuspected, placeOf = () => NOWHERE }: RetryOptions,
): RetryWork {
  const { consumer } = calling;
  const tasks: Task[] = [];
  const dead: Settled[] = [];
  const chains = new Map<string, { isBroken: boolean }>();
  const aloneChains = new Set<Task['chain']>();
  const groupedChains = new Set<Task['chain']>();
  for (const delivery of due) {
    const { notificationId, key, row, attempts, isSuspect, isGrouped } = delivery;
    const isOrdered = key !== null && consumer.order === 'key';
    const chain = (isOrdered && chains.get(key)) || { isBroken: false };
    if (isOrdered) chains.set(key, chain);
    const place = { id: notificationId, isReplay: true, ...placeOf(notificationId) };
    const end = endOf(delivery, consumer.attemptsMax);
    if (row === null || end !== null) {
      dead.push({ task: place, change: giveUp(calling, delivery, end ?? GONE) });
      chain.isBroken ||= consumer.onDead === 'stop';
      continue;
    }
    const task: Task = {
      ...place,
      row,
      key,
      attempt: attempts + 1,
      isFiled: true,
      chain,
    };
    tasks.push(task);
    if (isSuspected(notificationId) || (isSuspect && !isGrouped)) aloneChains.add(chain);
    else if (isSuspect) groupedChains.add(chain);
  }
  const alone = new Set(tasks.filter(({ chain }) => aloneChains.has(chain)));
  const isIn = (task: Task) => groupedChains.has(task.chain) && !alone.has(task);
  return { tasks, alone, grouped: new Set(tasks.filter(isIn)), dead };
}

type End = { name: string; message: string };

/**
 * Why a delivery gets no further attempt; null if it does. Only suspects need this check: an
 * ordinary last failure makes a dead letter at once, but a call that ended the process could not.
 */
function endOf({ attempts, isSuspect }: DueDelivery, attemptsMax: number): End | null {
  if (!isSuspect || attempts < attemptsMax) return null;
  const message =
    'the process ended, PostgreSQL crashed, or the daemon stopped waiting, ' +
    `during the ${ordinal(attempts)} call of the handler`;
  return { name: 'HandlerLost', message };
}

function giveUp(calling: Calling, delivery: DueDelivery, { name, message }: End): DeliveryChange {
  const { notificationId, key, attempts, row } = delivery;
  const error = Object.assign(new Error(message), { name, stack: '' });
  const task = { id: notificationId, key, attempt: attempts, row };
  const report = reportFailure(calling, task, { error, delayMs: null });
  return { notificationId, key, state: 'dead', attempts, error: { name, message }, report };
}

function ordinal(count: number): string {
  const suffix = { 1: 'st', 2: 'nd', 3: 'rd' }[
    count % 100 > 10 && count % 100 < 14 ? 0 : count % 10
  ];
  return `${count}${suffix ?? 'th'}`;
}

const NOWHERE = { source: null, index: 0 };
const GONE = {
  name: 'NotificationGone',
  message: 'the notification is no longer in the log',
};
