import type { PgwatchError } from '../errors.ts';
import { LossJudge } from './calls/transaction/loss.ts';
import { Control } from './control/control.ts';
import { startListening } from './control/listening.ts';
import { SessionPool } from './control/session-pool.ts';
import { membershipOf, runAllOnce, tailing } from './parts.ts';
import { prepare } from './prepare.ts';
import type { SessionOptions } from './session-options.ts';

/**
 * Runs one session: one life of the control connection. The order matters: listen, then read the
 * positions from the database, then read the log, then tail. The next session does it all again.
 * Nothing is carried over, because a failover may have undone what was read before.
 * @throws the error that ends the session, unless the signal does
 */
export async function runSession(options: SessionOptions, signal: AbortSignal): Promise<void> {
  const { setup, lasting, cutOff } = options;
  const { config, consumers, reporter, mode } = setup;
  const { logPool, handlerPool } = lasting;
  const control = await Control.open(config, options.predecessor);
  options.onConnected(control);
  const ended = new AbortController();
  const alive = AbortSignal.any([signal, control.lost, ended.signal]);
  // Reads that wait for a lock or on a dead network would keep the session from ending.
  control.lost.addEventListener('abort', () => {
    logPool.reset();
    if (control.isSilent) handlerPool.reset();
  });
  const onCutOff = () => control.abandon();
  if (cutOff.aborted) onCutOff();
  else cutOff.addEventListener('abort', onCutOff, { signal: ended.signal });
  try {
    const over = AbortSignal.any([control.lost, ended.signal]);
    const stop = AbortSignal.any([signal, options.hasNoPatience]);
    const { schema } = config;
    const pool = new SessionPool({ pool: logPool, schema, reporter, ended: over, stop, mode });
    const judge = new LossJudge({ ...lasting, pool, control });
    const rebasedId = await control.run((client) => prepare(setup, client));
    const channels = [...new Set(consumers.flatMap((consumer) => consumer.channels))].sort();
    await startListening({ config, control, reporter, channels });
    const membership = membershipOf(setup, lasting, control, signal);
    await membership.join();
    options.onWorking();
    // Other daemons take over consumers that have ended here while other handlers still run.
    const onStop = () => void membership.announce();
    signal.addEventListener('abort', onStop, { once: true, signal: ended.signal });
    const inside = { control, pool, judge, rebasedId, channels };
    let undone: PgwatchError | null = null;
    const runOnce = async () => {
      undone = await runAllOnce(setup, lasting, inside, alive);
    };
    const parts =
      mode === 'once' ? [runOnce()] : tailing(setup, lasting, inside, { alive, stop: signal });
    // While the daemon stops, the network may fail too, and others must know that it is alive.
    await untilAllEnd(parts, [membership.run(over)], ended);
    if (control.lost.aborted && !signal.aborted) throw control.lost.reason;
    await membership.leave();
    // The session has ended cleanly even so.
    if (undone) throw undone;
  } catch (thrown) {
    // The end of the connection caused whatever else failed.
    throw control.lost.aborted ? control.lost.reason : thrown;
  } finally {
    ended.abort();
    await control.close();
  }
}

/**
 * Waits for all parts. The first to fail ends the others; its error is thrown once all have ended.
 */
async function untilAllEnd(
  parts: Promise<void>[],
  companions: Promise<void>[],
  ended: AbortController,
): Promise<void> {
  const failures: unknown[] = [];
  const watch = (part: Promise<void>) =>
    part.catch((thrown: unknown) => {
      failures.push(thrown);
      ended.abort();
    });
  const watched = companions.map(watch);
  await Promise.all(parts.map(watch));
  ended.abort();
  await Promise.all(watched);
  if (failures.length > 0) throw failures[0];
}
