/*
 * Shared consumers: several processes work on one consumer at the same time, by leases.
 *
 *   page ──▶ free lease ── take: this process ──▶ taken ── shrinks as it is settled ──▶ deleted
 *                 ▲                                 │
 *                 └── epoch + 1: freed, or orphan ──┘
 *
 * The consumer has no owner. take.ts holds an advisory lock for one transaction: it makes leases of
 * the due retries, takes free leases, and if those are not enough, reads a page after the position,
 * splits it into leases by slots of keys, and moves the position. Only the lowest lease of a slot
 * can be taken: that alone keeps each key in order, and in one process at a time. sharers.ts counts
 * the processes, which sets how many leases each may hold. This dispatcher passes the leases to the
 * handlers.
 *
 * What can fail:
 * - A handler: its notification becomes a retry, which is leased again when due, or a dead letter.
 * - A process: the others free its leases as orphans and call their notifications carefully.
 * - Contact with the others: settling a lease checks its owner, its epoch and the server's run. If
 *   any of them has changed, nothing is saved, the dispatcher is fenced, and a new one starts.
 * - A save: it is tried again. What is never saved stays in the lease and is delivered again.
 * - A deployment: if the new version reads other channels, processes of the old one stand by; if it
 *   is the first to share the consumer, it waits until the owner has released it.
 */

import type { Clients } from '../../database/pool.ts';
import type { Lease } from '../../log/leases/lease.ts';
import { Brake } from '../calls/brake.ts';
import { groupsOf } from '../calls/careful.ts';
import { Crew, type CrewTools } from '../calls/crew.ts';
import { Life } from '../calls/life.ts';
import type { Suspicions } from '../calls/suspicions.ts';
import { recorded, type Task } from '../calls/task.ts';
import { SharedAccount } from './account.ts';
import { readRetries, readTasks, readUnrecorded, recordLeased } from './tasks.ts';
import { LeaseWork } from './work.ts';

export type SharedDispatcherOptions = CrewTools & {
  schema: string;
  daemonId: string;
  pool: Clients;
  suspicions: Suspicions;
  mode: 'tail' | 'once';
  /**
   * Called when a lease is completely settled, or a retry may be due: it is worth looking for more.
   */
  onFreed(): void;
};

/** Passes the leases that this process has taken to the handlers. */
export class SharedDispatcher {
  /** Holds back new notifications. */
  readonly brake: Brake;
  readonly life = new Life();
  readonly #options: SharedDispatcherOptions;
  readonly #account: SharedAccount;
  readonly #crew: Crew;

  constructor(options: SharedDispatcherOptions) {
    const { life } = this;
    const brake = new Brake(options.calling, 0);
    this.#options = options;
    this.brake = brake;
    this.#account = new SharedAccount({ ...options, life, brake });
    this.#crew = new Crew({
      ...options,
      life,
      brake,
      account: this.#account,
      // With too many retries waiting, leased pages still continue: in their slots, retries come
      // after them.
      isHeld: () => brake.isHalted,
      endsWhenHeld: false,
      record: (tasks) => this.#record(tasks),
      isThrough: ({ source, index }) => source?.isSettled(index) ?? true,
    });
  }

  /** How many notifications have failed so far, for a run with --once. */
  get failedCount(): number {
    return this.#account.failed.count;
  }

  /** How many leases are not completely settled. */
  get openCount(): number {
    return this.#account.open.size;
  }

  /** The ids of the leases that are not completely settled. */
  get openIds(): number[] {
    return [...this.#account.open].map(({ lease }) => lease.leaseId);
  }

  /** Delivers leases in their order. Returns once the workers have all of them. */
  async deliver(leases: readonly Lease[]): Promise<void> {
    const works = leases.map((lease) => new LeaseWork(lease));
    for (const work of works) this.#account.open.add(work);
    const byKind = Map.groupBy(works, ({ lease }) => this.#kindOf(lease));
    this.#crew.workers.push(await this.#readTasks(byKind.get('page') ?? []));
    await this.#retry(byKind.get('retry') ?? []);
    await this.#deliverCarefully(byKind.get('orphan') ?? []);
  }

  /** Starts no more calls. */
  close(): void {
    this.#crew.close();
  }

  /**
   * Waits until every handler has returned and its outcome is settled. Rejects if that has failed.
   */
  async untilIdle(): Promise<void> {
    await this.#crew.untilIdle();
    await this.#account.close();
    this.life.throwFailure();
  }

  /**
   * A lease with suspects counts as orphaned: if the server lost it in a crash, it comes again as a
   * new page, as if nothing in it had been called.
   */
  #kindOf({ kind, notificationIds }: Lease): Lease['kind'] {
    if (kind !== 'page') return kind;
    const { suspicions, calling } = this.#options;
    const suspects = new Set(suspicions.suspectsOf(calling.consumer.id));
    return notificationIds.some((id) => suspects.has(id)) ? 'orphan' : 'page';
  }

  #takeSuspicion(id: number): boolean {
    const { suspicions, calling } = this.#options;
    return suspicions.take(calling.consumer.id, id);
  }

  /**
   * Calls notifications carefully that another process may have died over; those that the server
   * may have crashed over are called alone. Others are handled meanwhile.
   */
  async #deliverCarefully(works: readonly LeaseWork[]): Promise<void> {
    const { failing } = this.#account;
    const { tasks, settled } = await readUnrecorded(this.#options, works, failing);
    this.#crew.workers.skip(settled);
    const alone = new Set(tasks.filter(({ id }) => this.#takeSuspicion(id)));
    this.#crew.startCarefully(groupsOf(tasks, this.#options.calling.consumer, alone));
  }

  async #retry(works: readonly LeaseWork[]): Promise<void> {
    const { consumer } = this.#options.calling;
    const { workers } = this.#crew;
    const isSuspected = (id: number) => this.#takeSuspicion(id);
    const { tasks, alone, grouped, settled } = await readRetries(this.#options, works, isSuspected);
    workers.pushFirst(tasks.filter((task) => !alone.has(task) && !grouped.has(task)));
    this.#crew.startCarefully([
      ...groupsOf(grouped, consumer),
      ...groupsOf(alone, consumer, alone),
    ]);
    workers.skip(settled);
  }

  async #readTasks(works: readonly LeaseWork[]): Promise<Task[]> {
    const { tasks, settled } = await readTasks(this.#options, works, this.#account.failing);
    this.#crew.workers.skip(settled);
    return tasks;
  }

  async #record(tasks: readonly Task[]): Promise<Task[] | null> {
    const isAlone = tasks.length === 1;
    if (!(await recordLeased(this.#options, tasks, isAlone))) {
      this.life.fence();
      return null;
    }
    if (isAlone) for (const { id, attempt } of tasks) this.#account.recorded.set(id, attempt);
    return tasks.map((task) => recorded(task, isAlone));
  }
}
