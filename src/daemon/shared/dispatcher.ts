import type { PoolClient } from 'pg';
import type { Clients, Pool } from '../../database/pool.ts';
import { toError } from '../../errors.ts';
import { applyChanges } from '../../log/deliveries/apply-changes.ts';
import { takeBackAttempts } from '../../log/deliveries/attempts.ts';
import { type DeliveryChange, lastOfEach } from '../../log/deliveries/delivery.ts';
import type { Lease } from '../../log/leases/lease.ts';
import { settleLeases } from '../../log/leases/settle.ts';
import { Waiters } from '../../waiting.ts';
import { type Account, workersFor } from '../calls/account.ts';
import { Brake } from '../calls/brake.ts';
import type { Calling } from '../calls/calling.ts';
import { Careful, groupsOf } from '../calls/careful.ts';
import { FailingKeys } from '../calls/failing-keys.ts';
import type { Suspicions } from '../calls/suspicions.ts';
import { type Place, recorded, type Settled, type Task } from '../calls/task.ts';
import type { LossJudge } from '../calls/transaction/loss.ts';
import type { Workers } from '../calls/workers.ts';
import { LeaseSettler } from './settler.ts';
import { readRetries, readTasks, readUnrecorded, recordLeased } from './tasks.ts';
import { LeaseWork } from './work.ts';

export type SharedDeliveryOptions = {
  calling: Calling;
  schema: string;
  daemonId: string;
  pool: Clients;
  handlerPool: Pool;
  judge: LossJudge;
  suspicions: Suspicions;
  /** Told when a lease is through, or something may be due: it is worth looking for more. */
  onFreed(): void;
};

/**
 * Hands the leases that this process has taken to the handlers, and settles them: a lease shrinks
 * with what is done or has a delivery.
 */
export class SharedDelivery implements Account {
  readonly failing = new FailingKeys();
  /** What keeps it from new notifications. */
  readonly brake: Brake;
  readonly #options: SharedDeliveryOptions;
  readonly #workers: Workers;
  readonly #careful: Careful;
  readonly #settler: LeaseSettler;
  readonly #ended = new AbortController();
  readonly #waiters = new Waiters();
  readonly #open = new Set<LeaseWork>();
  readonly #failedIds = new Set<number>();
  /** Attempts that are recorded, of calls whose outcome is not saved; by notification. */
  readonly #recorded = new Map<number, number>();
  #isFenced = false;
  #failure: Error | undefined;
  #isClosed = false;

  constructor(options: SharedDeliveryOptions) {
    const { calling, schema, pool, daemonId } = options;
    const { id: consumerId, order } = calling.consumer;
    this.#options = options;
    this.#workers = workersFor(options, this);
    this.brake = new Brake({ calling, onChange: () => this.#pause() }, 0);
    this.#careful = new Careful({
      isOrdered: order === 'key',
      failing: this.failing,
      workers: this.#workers,
      isHeld: () => this.brake.isHalted,
      isClosed: () => this.#isClosed,
      record: (tasks) => this.#record(tasks),
      isThrough: ({ source, index }) => source?.isSettled(index) ?? true,
      until: (isMet) => this.until(isMet),
    });
    this.#settler = new LeaseSettler({
      consumerId,
      isOrdered: order === 'key',
      pool,
      schema,
      daemonId,
      reporter: calling.reporter,
      onSettled: (through, changes, keys) => this.#afterSettling(through, changes, keys),
      onFenced: (unsaved) => this.#loseChanges(unsaved),
    });
  }

  /** Aborts when nothing more can be delivered: a lease is another's, or working has failed. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** How many notifications have failed, so far. */
  get failedCount(): number {
    return this.#failedIds.size;
  }

  /** True once nothing is started any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** How many leases are not through. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Which these are. */
  get openIds(): number[] {
    return [...this.#open].map(({ lease }) => lease.leaseId);
  }

  /** Hands leases out, in their order; returns once all of them are with the workers. */
  async deliver(leases: readonly Lease[]): Promise<void> {
    const works = leases.map((lease) => new LeaseWork(lease));
    for (const work of works) this.#open.add(work);
    const byKind = Map.groupBy(works, ({ lease }) => this.#kindOf(lease));
    this.#workers.push(await this.#readTasks(byKind.get('page') ?? []));
    await this.#retry(byKind.get('retry') ?? []);
    await this.#deliverCarefully(byKind.get('orphan') ?? []);
  }

  /** Resolves once the condition holds or it is closed; looked at after every call. */
  async until(isMet: () => boolean): Promise<void> {
    await this.#waiters.until(() => this.#isClosed || isMet());
  }

  /** Starts nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#workers.close();
    this.#waiters.check();
  }

  /** Waits until every handler has returned and what it did is settled. Rejects where it failed. */
  async untilIdle(): Promise<void> {
    await this.#careful.untilIdle();
    await this.#workers.untilIdle();
    await this.#settler.close();
    if (this.#isFenced) await this.#takeBackAttempts();
    if (this.#failure) throw this.#failure;
  }

  settle({ source, index }: Place, change: DeliveryChange | null): void {
    const work = source as LeaseWork;
    work.settle(index);
    this.#options.calling.meter.count();
    if (change) this.#note(change);
    this.#settler.settle(work, change);
  }

  async settleIn(client: PoolClient, settled: readonly Settled[]): Promise<string[] | null> {
    const { schema, daemonId, calling } = this.#options;
    const byWork = Map.groupBy(settled, ({ task }) => task.source as LeaseWork);
    const rests = [...byWork].map(([work, own]) =>
      work.restWithout(new Set(own.map(({ task }) => task.index))),
    );
    if (!(await settleLeases(client, schema, daemonId, rests))) return null;
    const { id: consumerId, order } = calling.consumer;
    const changes = lastOfEach(settled.flatMap(({ change }) => change ?? []));
    return applyChanges(client, schema, { consumerId, isOrdered: order === 'key' }, changes);
  }

  onCommitted(settled: readonly Settled[], waitingKeys: readonly string[]): void {
    const changes = settled.flatMap(({ change }) => change ?? []);
    for (const change of changes) this.#note(change);
    for (const { task } of settled) (task.source as LeaseWork).settle(task.index);
    this.#options.calling.meter.count(settled.length);
    const works = new Set(settled.map(({ task }) => task.source as LeaseWork));
    const through = [...works].filter(({ isFinished }) => isFinished);
    this.#afterSettling(through, changes, waitingKeys);
  }

  onFenced(): void {
    this.#isFenced = true;
    this.#ended.abort();
  }

  onFailed(): void {
    this.#ended.abort();
  }

  /** Where too much waits for a retry, what is leased goes on: in its slots, retries are behind it. */
  #pause(): void {
    this.#workers.pause(this.brake.isHalted);
    this.#waiters.check();
  }

  #note(change: DeliveryChange): void {
    this.failing.note(change);
    if (change.state === 'dead') this.brake.addDead();
  }

  #afterSettling(
    through: readonly LeaseWork[],
    changes: readonly DeliveryChange[],
    waitingKeys: readonly string[],
  ): void {
    this.failing.settle(changes, waitingKeys);
    for (const { state, notificationId, report } of changes) {
      report?.();
      this.#recorded.delete(notificationId);
      if (state === 'done') this.#failedIds.delete(notificationId);
      else if (state !== 'blocked') this.#failedIds.add(notificationId);
      if (state === 'dead') this.brake.savedDead();
    }
    for (const work of through) this.#open.delete(work);
    this.#waiters.check();
    this.#options.onFreed();
  }

  /** A lease that the server has lost in a crash comes again as if nothing in it had been called. */
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

  #loseChanges(changes: readonly DeliveryChange[]): void {
    const { suspicions, calling } = this.#options;
    suspicions.loseChanges(calling.consumer.id, changes, this.#recorded);
    this.onFenced();
  }

  /** If it fails, an attempt more is counted than was made. */
  async #takeBackAttempts(): Promise<void> {
    const { pool, schema, calling } = this.#options;
    await pool
      .withClient((client) => takeBackAttempts(client, schema, calling.consumer.id, this.#recorded))
      .catch(() => {});
  }

  /** A process may have died over one of them, or the server: those are called alone. */
  async #deliverCarefully(works: readonly LeaseWork[]): Promise<void> {
    const { tasks, settled } = await readUnrecorded(this.#options, works, this.failing);
    this.#workers.skip(settled);
    const alone = new Set(tasks.filter(({ id }) => this.#takeSuspicion(id)));
    this.#callCarefully(groupsOf(tasks, this.#options.calling.consumer, alone));
  }

  /** One group after the other. It is not waited for: meanwhile other leases are worked on. */
  #callCarefully(groups: readonly Task[][]): void {
    const calling = async () => {
      for (const group of groups) await this.#careful.call(group);
    };
    calling().catch((thrown) => {
      this.#failure ??= toError(thrown);
      this.onFailed();
    });
  }

  async #retry(works: readonly LeaseWork[]): Promise<void> {
    const { consumer } = this.#options.calling;
    const isSuspected = (id: number) => this.#takeSuspicion(id);
    const { tasks, alone, grouped, settled } = await readRetries(this.#options, works, isSuspected);
    this.#workers.pushFirst(tasks.filter((task) => !alone.has(task) && !grouped.has(task)));
    this.#callCarefully([...groupsOf(grouped, consumer), ...groupsOf(alone, consumer, alone)]);
    this.#workers.skip(settled);
  }

  async #readTasks(works: readonly LeaseWork[]): Promise<Task[]> {
    const { tasks, settled } = await readTasks(this.#options, works, this.failing);
    this.#workers.skip(settled);
    return tasks;
  }

  async #record(tasks: readonly Task[]): Promise<Task[] | null> {
    const isAlone = tasks.length === 1;
    if (!(await recordLeased(this.#options, tasks, isAlone))) {
      this.onFenced();
      return null;
    }
    if (isAlone) for (const { id, attempt } of tasks) this.#recorded.set(id, attempt);
    return tasks.map((task) => recorded(task, isAlone));
  }
}
