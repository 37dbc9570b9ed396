import type { Consumer } from '../../consumers/define.ts';
import type { Clients } from '../../database/pool.ts';
import { withTransaction } from '../../database/transaction.ts';
import { lockSharedConsumer } from '../../log/leases/lease.ts';
import { skipToNewest } from '../../log/leases/skip.ts';
import type { Reporter } from '../../reporter.ts';
import type { Control } from '../control/control.ts';
import type { SharedRunner } from './runner.ts';

export type SharingOptions = {
  control: Control;
  pool: Clients;
  schema: string;
  reporter: Reporter;
  /** The consumers that this process shares with others. */
  consumers: readonly Consumer[];
  /** What this process still works on, by consumer, including work of a lost session. */
  sharing: Map<string, Promise<void>>;
  /** Consumers whose missed notifications are to be skipped. */
  skipping: Set<string>;
  makeRunner(consumer: Consumer): SharedRunner;
};

/** How a runner works: until the session ends, or until nothing is left. */
type Work = (runner: SharedRunner) => Promise<void>;

/**
 * Works on the shared consumers until the session ends. If the daemon stops, it waits for the
 * handlers. If the session fails, it does not: a handler that hangs must not hold up the other
 * consumers.
 */
export async function runShared(
  options: SharingOptions,
  session: AbortSignal,
  stop: AbortSignal,
  work: Work,
): Promise<void> {
  const running = options.consumers.map((consumer) => runOne(options, consumer, session, work));
  const all = Promise.all(running).then(() => {});
  const failed = new Promise<void>((resolve) => {
    const onEnd = () => stop.aborted || resolve();
    if (session.aborted) onEnd();
    else session.addEventListener('abort', onEnd, { once: true });
  });
  await Promise.race([all, failed]);
}

async function runOne(
  options: SharingOptions,
  consumer: Consumer,
  session: AbortSignal,
  work: Work,
): Promise<void> {
  const { control, sharing, skipping } = options;
  // Handlers of the previous session may still be running.
  await sharing.get(consumer.id);
  if (skipping.has(consumer.id)) {
    await skip(options, consumer);
    skipping.delete(consumer.id);
  }
  const runner = options.makeRunner(consumer);
  control.retries.listen(() => runner.work.ring(), session);
  control.owners.listen(() => runner.look(), session);
  const running = work(runner);
  sharing.set(
    consumer.id,
    running.catch(() => {}),
  );
  await running;
}

async function skip({ pool, schema, reporter }: SharingOptions, { id }: Consumer): Promise<void> {
  const newest = await pool.withClient((client) =>
    withTransaction(client, async () => {
      await lockSharedConsumer(client, schema, id);
      return skipToNewest(client, schema, id);
    }),
  );
  reporter.info(`${id} skips everything up to id ${newest.doneId}.`);
}
