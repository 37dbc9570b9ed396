import type { Config } from '../../src/config/define.ts';
import { checkConsumer } from '../../src/consumers/check.ts';
import type { Consumer, ConsumerDefinition } from '../../src/consumers/define.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import type { ReadPage } from '../../src/log/page.ts';
import { Reporter } from '../../src/reporter.ts';
import { TransitionWatch } from './wait.ts';

/** A daemon that runs inside the test. */
export type TestDaemon = {
  transitions: TransitionWatch;
  /** What it reported, as text. */
  reports: string[];
  /** Stops it cleanly, and waits. */
  stop(): Promise<void>;
  /** Settles when it has ended by itself or was stopped. */
  ended: Promise<void>;
};

/** A consumer as a file would define it. */
export function makeConsumer(definition: ConsumerDefinition & { id: string }): Consumer {
  return checkConsumer(definition, '/consumers/test.ts', '/consumers');
}

/** Starts a daemon and returns at once. */
export function startDaemon(
  config: Config,
  definitions: readonly (ConsumerDefinition & { id: string })[],
  options: { readPage?: ReadPage; skipPlayback?: boolean } = {},
): TestDaemon {
  const transitions = new TransitionWatch();
  const controller = new AbortController();
  const { reporter, reports } = collectReports();
  const daemon = new Daemon({
    config,
    consumers: definitions.map(makeConsumer),
    reporter,
    ...options,
  });
  const ended = daemon.run(controller.signal);
  // A test that does not await it still sees the failure through stop().
  ended.catch(() => {});
  return {
    transitions,
    reports,
    ended,
    async stop() {
      controller.abort();
      await ended.finally(() => transitions.stop());
    },
  };
}

/** Starts a daemon and returns once all its consumers follow the tail. */
export async function startTailing(
  config: Config,
  definitions: readonly (ConsumerDefinition & { id: string })[],
): Promise<TestDaemon> {
  const daemon = startDaemon(config, definitions);
  await untilTailing(daemon, definitions);
  return daemon;
}

/** Waits until all its consumers follow the tail, or it has ended. */
export async function untilTailing(
  daemon: TestDaemon,
  definitions: readonly { id: string }[],
): Promise<void> {
  const joined = definitions.map(({ id }) =>
    daemon.transitions.for({ type: 'tail_joined', consumerId: id }),
  );
  await Promise.race([Promise.all(joined), daemon.ended]);
}

/** A reporter whose lines can be read. */
export function collectReports(): { reporter: Reporter; reports: string[] } {
  const reports: string[] = [];
  const stream = {
    write: (text: string) => reports.push(text) > 0,
  } as unknown as NodeJS.WriteStream;
  return { reporter: new Reporter({ stream, level: 'debug' }), reports };
}
