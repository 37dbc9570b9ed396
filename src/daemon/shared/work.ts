import type { Lease } from '../../log/leases/lease.ts';
import type { LeaseRest } from '../../log/leases/settle.ts';
import type { TaskSource } from '../calls/task.ts';

/** A lease that this process works on, and what is not settled of it yet. */
export class LeaseWork implements TaskSource {
  readonly lease: Lease;
  readonly #openIds: Set<number>;

  constructor(lease: Lease) {
    this.lease = lease;
    this.#openIds = new Set(lease.notificationIds);
  }

  get isFinished(): boolean {
    return this.#openIds.size === 0;
  }

  /**
   * What is left of the lease, to be saved.
   * @param indexes more rows to leave out, which are about to be settled
   */
  restWithout(indexes: ReadonlySet<number> = NONE): LeaseRest {
    const { leaseId, epoch, server, notificationIds } = this.lease;
    const settled = new Set([...indexes].map((index) => notificationIds[index]));
    const open = notificationIds.filter((id) => this.#openIds.has(id) && !settled.has(id));
    return { leaseId, epoch, server, notificationIds: open };
  }

  isSettled(index: number): boolean {
    return !this.#openIds.has(this.lease.notificationIds[index] as number);
  }

  settle(index: number): void {
    this.#openIds.delete(this.lease.notificationIds[index] as number);
  }
}

const NONE: ReadonlySet<number> = new Set();
