import type { PoolClient } from 'pg';
import type { Clients } from '../../database/pool.ts';
import { applyChanges } from '../../log/deliveries/apply-changes.ts';
import { takeBackAttempts } from '../../log/deliveries/attempts.ts';
import {
  type DeliveryChange,
  type DeliveryScope,
  lastOfEach,
} from '../../log/deliveries/delivery.ts';
import { settleLeases } from '../../log/leases/settle.ts';
import { tellDaemons } from '../../log/positions/daemons.ts';
import type { Account } from '../calls/account.ts';
import type { Brake } from '../calls/brake.ts';
import type { Calling } from '../calls/calling.ts';
import { FailedIds } from '../calls/failed-ids.ts';
import { FailingKeys } from '../calls/failing-keys.ts';
import type { Life } from '../calls/life.ts';
import type { Suspicions } from '../calls/suspicions.ts';
import type { Place, Settled } from '../calls/task.ts';
import { LeaseSettler } from './settler.ts';
import type { LeaseWork } from './work.ts';

export type SharedAccountOptions = {
  calling: Calling;
  schema: string;
  daemonId: string;
  pool: Clients;
  suspicions: Suspicions;
  mode: 'tail' | 'once';
  life: Life;
  brake: Brake;
  /**
   * Called when a lease is completely settled, or a retry may be due: it is worth looking for more.
   */
  onFreed(): void;
};

/**
 * Tracks the leases that this process has taken, and has them settled: a lease shrinks as its
 * notifications are done or have a delivery.
 */
export class SharedAccount implements Account {
  readonly failing = new FailingKeys();
  readonly failed: FailedIds;
  /** The leases that are not completely settled. */
  readonly open = new Set<LeaseWork>();
  /** Recorded attempts of calls whose outcome is not saved yet, by notification. */
  readonly recorded = new Map<number, number>();
  readonly #options: SharedAccountOptions;
  readonly #scope: DeliveryScope;
  readonly #settler: LeaseSettler;

  constructor(options: SharedAccountOptions) {
    const { calling, mode } = options;
    const { id: consumerId, order } = calling.consumer;
    this.#options = options;
    this.#scope = { consumerId, isOrdered: order === 'key' };
    this.failed = new FailedIds(mode);
    this.#settler = new LeaseSettler({
      ...options,
      ...this.#scope,
      reporter: calling.reporter,
      file: (client, changes) => this.#file(client, changes),
      onSettled: (through, changes, keys) => this.#afterSettling(through, changes, keys),
      onFenced: (unsaved) => this.#loseChanges(unsaved),
    });
  }

  settle({ source, index }: Place, change: DeliveryChange | null): void {
    const work = source as LeaseWork;
    work.settle(index);
    this.#options.calling.meter.count();
    if (change) this.#note(change);
    this.#settler.settle(work, change);
  }

  /** Nothing to note: the leases tell what a transaction settles. */
  onBegin(): void {}

  async settleIn(client: PoolClient, settled: readonly Settled[]): Promise<string[] | null> {
    const { schema, daemonId } = this.#options;
    const byWork = Map.groupBy(settled, ({ task }) => task.source as LeaseWork);
    const rests = [...byWork].map(([work, own]) =>
      work.restWithout(new Set(own.map(({ task }) => task.index))),
    );
    if (!(await settleLeases(client, schema, daemonId, rests))) return null;
    const changes = lastOfEach(settled.flatMap(({ change }) => change ?? []));
    return this.#file(client, changes);
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
    this.#options.life.fence();
  }

  onFailed(): void {
    this.#options.life.end();
  }

  /** Settles what can be settled, then stops. */
  async close(): Promise<void> {
    await this.#settler.close();
    if (this.#options.life.isFenced) await this.#takeBackAttempts();
  }

  /** Tells other processes at once if a dead letter stops the consumer. */
  async #file(client: PoolClient, changes: readonly DeliveryChange[]): Promise<string[]> {
    const { schema, calling } = this.#options;
    const isStopping = calling.consumer.onDead === 'stop';
    if (isStopping && changes.some(({ state }) => state === 'dead')) {
      await tellDaemons(client, schema, 'retry');
    }
    return applyChanges(client, schema, this.#scope, changes);
  }

  #note(change: DeliveryChange): void {
    this.failing.note(change);
    if (change.state === 'dead') this.#options.brake.addDead();
  }

  #afterSettling(
    through: readonly LeaseWork[],
    changes: readonly DeliveryChange[],
    waitingKeys: readonly string[],
  ): void {
    const { brake, life, onFreed } = this.#options;
    this.failing.settle(changes, waitingKeys);
    for (const change of changes) {
      change.report?.();
      this.recorded.delete(change.notificationId);
      this.failed.note(change);
      if (change.state === 'dead') brake.savedDead();
    }
    for (const work of through) this.open.delete(work);
    life.check();
    onFreed();
  }

  #loseChanges(changes: readonly DeliveryChange[]): void {
    const { suspicions, life } = this.#options;
    suspicions.loseChanges(this.#scope.consumerId, changes, this.recorded);
    life.fence();
  }

  /** If this fails, one attempt too many is counted. */
  async #takeBackAttempts(): Promise<void> {
    const { pool, schema } = this.#options;
    const { consumerId } = this.#scope;
    await pool
      .withClient((client) => takeBackAttempts(client, schema, consumerId, this.recorded))
      .catch(() => {});
  }
}
