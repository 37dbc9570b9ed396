import type { ClientBase } from 'pg';
import type { GivenLeases, RowPlace } from '../../log/leases/shared-position.ts';
import { readLeaseFloor } from '../../log/leases/take.ts';

/**
 * Where this process has to look: earlier takes have moved on, and dead rows that they left may
 * still be there.
 */
export class TakePlace implements RowPlace {
  ctid: string | null = null;
  floor = 0;
  #given: GivenLeases | null = null;
  #nextMendAt = 0;
  #nextFloorAt = 0;
  #nextSearchAt = 0;

  /**
   * Finds the floor again from time to time: from the last one, and more rarely from the bottom. It
   * starts from the bottom at once if lease ids may have gone back, because a floor that is too
   * high would hide leases and let two processes work on one key.
   * @param given read by this transaction, which has the lock
   */
  async findFloor(
    client: ClientBase,
    { schema, consumerId }: { schema: string; consumerId: string },
    given: GivenLeases,
  ): Promise<void> {
    const now = performance.now();
    const before = this.#given;
    const isBack = before?.server !== given.server || given.lastId < before.lastId;
    this.#given = given;
    if (isBack || now > this.#nextSearchAt) {
      this.floor = 0;
      this.#nextSearchAt = now + SEARCH_MS;
    } else if (now < this.#nextFloorAt) return;
    this.#nextFloorAt = now + FLOOR_MS;
    // If there are no leases, all future ones are above the last id given.
    const lowestId = await readLeaseFloor(client, schema, consumerId, this.floor);
    this.floor = lowestId ?? given.lastId + 1;
  }

  /** True when it is time to check whether the clock has gone back. */
  isMendDue(): boolean {
    const isDue = performance.now() > this.#nextMendAt;
    if (isDue) this.#nextMendAt = performance.now() + MEND_MS;
    return isDue;
  }
}

const MEND_MS = 5000;
const FLOOR_MS = 250;
const SEARCH_MS = 10_000;
