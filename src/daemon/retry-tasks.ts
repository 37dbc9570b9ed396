import type { DeliveryChange } from '../log/delivery.ts';
import type { DueDelivery } from '../log/due.ts';
import type { Calling } from './calling.ts';
import { reportFailure } from './report-failure.ts';
import type { Settled, Task } from './task.ts';

/** What is to be done about deliveries that are due. */
export type RetryWork = {
  /** In order of id. */
  tasks: Task[];
  /** Of those the ones that failed before: this attempt is recorded before it is made. */
  toRecord: Task[];
  /** What is given up without another call. */
  dead: Settled[];
};

/** Where the account of a retried notification is kept. */
type PlaceOf = (notificationId: number) => Pick<Task, 'source' | 'index'>;

/** Makes tasks of deliveries that are due; those of a key form a chain that the first failure breaks. */
export function retryTasks(
  calling: Calling,
  due: readonly DueDelivery[],
  placeOf: PlaceOf = () => NOWHERE,
): RetryWork {
  const { consumer } = calling;
  const work: RetryWork = { tasks: [], toRecord: [], dead: [] };
  const chains = new Map<string, { isBroken: boolean }>();
  for (const delivery of due) {
    const { notificationId, key, row, attempts, isBlocked } = delivery;
    const reason = reasonToGiveUp(delivery, consumer.attemptsMax);
    const place = { id: notificationId, isReplay: true, ...placeOf(notificationId) };
    if (row === null || reason !== null) {
      const change = giveUp(calling, delivery, reason ?? GONE);
      work.dead.push({ task: place, change });
      continue;
    }
    const isOrdered = key !== null && consumer.order === 'key';
    const chain = (isOrdered && chains.get(key)) || { isBroken: false };
    if (isOrdered) chains.set(key, chain);
    const task: Task = {
      ...place,
      row,
      key,
      attempt: attempts + 1,
      isFiled: true,
      chain,
    };
    work.tasks.push(task);
    if (!isBlocked) work.toRecord.push(task);
  }
  return work;
}

/** The attempts are counted before each call, so that a call that ended the process counts too. */
function reasonToGiveUp({ attempts }: DueDelivery, attemptsMax: number): string | null {
  if (attempts < attemptsMax) return null;
  return `the process ended while the handler was called for the ${ordinal(attempts)} time, or the daemon did not wait for it`;
}

function giveUp(calling: Calling, delivery: DueDelivery, reason: string): DeliveryChange {
  const { notificationId, key, attempts } = delivery;
  const error = Object.assign(new Error(reason), { name: 'HandlerLost', stack: '' });
  reportFailure(calling, { id: notificationId, key, attempt: attempts }, { error, delayMs: null });
  const record = { name: error.name, message: reason };
  return { notificationId, key, state: 'dead', attempts, error: record };
}

function ordinal(count: number): string {
  const suffix = { 1: 'st', 2: 'nd', 3: 'rd' }[
    count % 100 > 10 && count % 100 < 14 ? 0 : count % 10
  ];
  return `${count}${suffix ?? 'th'}`;
}

const NOWHERE = { source: null, index: 0 };
const GONE = 'the log does not hold the notification any longer';
