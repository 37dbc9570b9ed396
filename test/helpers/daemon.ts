import { afterEach, inject } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import type { Notification } from '../../src/log/notification.ts';
import { type Reporter, StreamReporter } from '../../src/reporter.ts';
import { emptyLog, type TestDatabase } from './database.ts';
import type { TestDefinition } from './doors/doors.ts';
import { type Run, runThrough } from './doors/run.ts';
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

/** Starts a daemon, through the door under test, and returns at once. */
export function startDaemon(
  config: Config,
  definitions: readonly TestDefinition[],
  options: Pick<Run, 'readPage' | 'skipPlayback'> = {},
): TestDaemon {
  const transitions = new TransitionWatch();
  const controller = new AbortController();
  const { reports, ended } = run({ config, definitions, ...options }, controller.signal);
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

/** Runs a consumer, through the door under test, until everything that is there is handled. */
export function runOnce(
  config: Config,
  definition: TestDefinition,
  options: Pick<Run, 'skipPlayback'> = {},
): Pick<TestDaemon, 'reports' | 'ended'> {
  const never = new AbortController().signal;
  return run({ config, definitions: [definition], once: true, ...options }, never);
}

function run(given: Omit<Run, 'reporter'>, signal: AbortSignal) {
  const { reporter, reports } = collectReports();
  const ended = runThrough(inject('door'), { ...given, reporter }, signal);
  // A test that does not await it still sees the failure through stop().
  ended.catch(() => {});
  return { reports, ended };
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
