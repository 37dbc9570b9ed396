import { afterEach } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { checkConsumer } from '../../src/consumers/check.ts';
import type { Consumer, ConsumerDefinition } from '../../src/consumers/define.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import type { Notification } from '../../src/log/notification.ts';
import type { ReadPage } from '../../src/log/page.ts';
import { type Reporter, StreamReporter } from '../../src/reporter.ts';
import { emptyLog, type TestDatabase } from './database.ts';
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

/** Daemons of a test file. */
export type Daemons = {
  /** Starts a daemon, stopped after the test. */
  start(...definitions: TestDefinition[]): TestDaemon;
  /** Starts a daemon, stopped after the test, and waits until it follows the tail. */
  tail(...definitions: TestDefinition[]): Promise<TestDaemon>;
  /** Stops the daemon after the test. */
  keep<Daemon extends TestDaemon>(daemon: Daemon): Daemon;
  /** Stops all daemons now. */
  stopAll(): Promise<void>;
};

export type TestDefinition = ConsumerDefinition & { id: string };

/**
 * Sets up the test file that calls it: after each test the daemons are stopped and the log is
 * emptied.
 * @param whenStopped is called between the two
 */
export function useDaemons(
  database: TestDatabase,
  { whenStopped = async () => {} }: { whenStopped?: () => Promise<unknown> } = {},
): Daemons {
  const daemons: TestDaemon[] = [];
  const keep = <Daemon extends TestDaemon>(daemon: Daemon) => {
    daemons.push(daemon);
    return daemon;
  };
  const stopAll = async () => {
    await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  };
  const start = (...definitions: TestDefinition[]) =>
    keep(startDaemon(database.config, definitions));
  afterEach(async () => {
    await stopAll();
    await whenStopped();
    await emptyLog(database);
  });
  return {
    start,
    keep,
    stopAll,
    async tail(...definitions) {
      const daemon = start(...definitions);
      await untilTailing(daemon, definitions);
      return daemon;
    },
  };
}

/** A consumer as a file would define it. */
export function makeConsumer(definition: TestDefinition): Consumer {
  return checkConsumer(definition, '/consumers/test.ts', '/consumers');
}

/**
 * A consumer, c on channel c unless told otherwise, that collects the notifications it receives;
 * `seen` are their payloads.
 */
export function collecting(rest: Partial<TestDefinition> = {}) {
  const notifications: Notification[] = [];
  const seen: unknown[] = [];
  const handle = (notification: Notification) => {
    notifications.push(notification);
    seen.push(notification.payload);
  };
  const definition = { id: 'c', channels: ['c'], handle, ...rest } as TestDefinition;
  return { seen, notifications, definition };
}

/** Starts a daemon and returns at once. */
export function startDaemon(
  config: Config,
  definitions: readonly TestDefinition[],
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
  definitions: readonly TestDefinition[],
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
  return { reporter: new StreamReporter({ stream, level: 'debug' }), reports };
}
