import type { Pool } from '../../database/pool.ts';
import type { Account } from './account.ts';
import type { Brake } from './brake.ts';
import type { Calling } from './calling.ts';
import { Careful, type CarefulOptions } from './careful.ts';
import { Lanes } from './lanes.ts';
import type { Life } from './life.ts';
import type { Task } from './task.ts';
import { TransactionLane } from './transaction/lane.ts';
import type { LossJudge } from './transaction/loss.ts';
import type { Workers } from './workers.ts';

/** What a crew works with. */
export type CrewTools = {
  calling: Calling;
  /** What context.db of handlers uses. */
  handlerPool: Pool;
  judge: LossJudge;
};

export type CrewOptions = CrewTools &
  Pick<CarefulOptions, 'isHeld' | 'record' | 'isThrough'> & {
    life: Life;
    brake: Brake;
    account: Account;
    /** True if nothing more is to be delivered once new notifications are held back. */
    endsWhenHeld: boolean;
  };

/**
 * The workers of a dispatcher. They call the handler for its tasks, some of them carefully, and
 * have its account settle them, until the crew is closed.
 */
export class Crew {
  readonly workers: Workers;
  readonly #life: Life;
  readonly #careful: Careful;

  constructor(options: CrewOptions) {
    const { life, brake, account, isHeld } = options;
    const tools = { ...options.calling.tools, isFenced: () => life.isFenced };
    const calling = { ...options.calling, tools };
    this.#life = life;
    this.workers = workersFor({ ...options, calling }, account);
    this.#careful = new Careful({
      ...options,
      isOrdered: calling.consumer.order === 'key',
      failing: account.failing,
      workers: this.workers,
      isClosed: () => life.isClosed,
      until: (isMet) => life.until(isMet),
    });
    brake.listen(() => {
      this.workers.pause(isHeld());
      life.check();
      if (isHeld() && options.endsWhenHeld) life.end();
    });
  }

  /** Calls the groups one after the other, each after its calls are recorded. */
  async callCarefully(groups: readonly (readonly Task[])[]): Promise<void> {
    for (const group of groups) await this.#careful.call(group);
  }

  /** Like callCarefully(), but does not wait: if it fails, the dispatcher has failed. */
  startCarefully(groups: readonly (readonly Task[])[]): void {
    this.callCarefully(groups).catch((thrown: unknown) => this.#life.fail(thrown));
  }

  /** Starts no more calls. */
  close(): void {
    this.#life.close();
    this.workers.close();
  }

  /** Waits until every handler has returned. Rejects if working has failed. */
  async untilIdle(): Promise<void> {
    await this.#careful.untilIdle();
    await this.workers.untilIdle();
  }
}

function workersFor({ calling, handlerPool, judge }: CrewTools, account: Account): Workers {
  return calling.consumer.isTransactional
    ? new TransactionLane({ calling, account, judge, pool: handlerPool })
    : new Lanes(calling, account.failing, (task, change) => account.settle(task, change));
}
