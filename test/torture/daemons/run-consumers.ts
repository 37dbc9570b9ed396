import { join } from 'node:path';
import type { Handling } from '../history/history.ts';
import { RecordWriter } from '../history/record.ts';
import { runByDaemon } from './by-daemon.ts';
import { runByListen } from './by-listen.ts';
import { runBySubscribe } from './by-subscribe.ts';
import type { Door } from './doors.ts';
import type { DaemonSetup } from './setup.ts';
import { signalAtStep, stopAfterWork } from './signal-at-step.ts';
import { type TortureConsumer, tortureConsumer } from './torture-consumer.ts';

type Run = (
  setup: DaemonSetup,
  consumers: readonly TortureConsumer[],
  stop: AbortSignal,
) => Promise<void>;

const RUNS: Readonly<Record<Door, Run>> = {
  daemon: runByDaemon,
  listen: runByListen,
  subscribe: runBySubscribe,
};

/**
 * Runs the consumers of a setup until SIGTERM. Records what their handlers do outside the database,
 * and kills or stops its own process as it is asked to.
 */
export async function runConsumers(setup: DaemonSetup): Promise<void> {
  const { folder, killAt } = setup;
  const record = new RecordWriter<Handling>(join(folder, 'handlings.jsonl'));
  if (killAt !== undefined) signalAtStep('SIGKILL', killAt, record);
  process.on('SIGUSR2', () => signalAtStep('SIGSTOP', 1 + Math.floor(Math.random() * 30), record));
  const exact = setup.consumers.filter(({ options }) => options.transaction).map(({ id }) => id);
  process.on('SIGHUP', () => stopAfterWork(exact, record));
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  const consumers = setup.consumers.map((consumer) => tortureConsumer(consumer, setup, record));
  await RUNS[setup.door](setup, consumers, stop.signal);
}
