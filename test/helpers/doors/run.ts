import { OPTION_NAMES } from '../../../src/config/check.ts';
import type { Config } from '../../../src/config/define.ts';
import { checkConsumer } from '../../../src/consumers/check.ts';
import type { Consumer } from '../../../src/consumers/define.ts';
import { Daemon } from '../../../src/daemon/daemon.ts';
import type { ReadPage } from '../../../src/log/page.ts';
import type { Reporter } from '../../../src/reporter.ts';
import { createPgwatch } from '../../../src/service/create.ts';
import type { PgwatchOptions } from '../../../src/service/options.ts';
import type { Pgwatch } from '../../../src/service/pgwatch.ts';
import type { Door, TestDefinition } from './doors.ts';
import { runLoop } from './loop.ts';

export type Run = {
  config: Config;
  definitions: readonly TestDefinition[];
  reporter: Reporter;
  skipPlayback?: boolean;
  /** Ends once everything that is there is handled. Not with subscribe, which has no end. */
  once?: boolean;
  /** Reads the log. Only with files: a program has no choice. */
  readPage?: ReadPage;
};

/**
 * Runs consumers through a door until the signal aborts, and waits for the calls that run, up to
 * shutdownTimeout.
 */
export function runThrough(door: Door, run: Run, signal: AbortSignal): Promise<void> {
  return WAYS[door](run, signal);
}

/** A consumer as a file would define it. */
export function makeConsumer(definition: TestDefinition): Consumer {
  return checkConsumer(definition, '/consumers/test.ts', '/consumers');
}

const WAYS: Record<Door, (run: Run, signal: AbortSignal) => Promise<void>> = {
  async files({ definitions, once = false, ...options }, signal) {
    const daemon = new Daemon({ ...options, consumers: definitions.map(makeConsumer) });
    await (once ? daemon.runOnce(signal) : daemon.run(signal));
  },
  listen: (run, signal) =>
    withPgwatch(run, async (pgwatch) => {
      const { definitions, skipPlayback = false, once = false } = run;
      const listening = await pgwatch.listen(definitions, { signal, skipPlayback, once });
      await listening.done;
    }),
  subscribe: (run, signal) =>
    withPgwatch(run, async (pgwatch) => {
      const { definitions, reporter, skipPlayback = false, once = false } = run;
      if (once) throw new Error('subscribe() has no once.');
      const loop = { pgwatch, reporter, skipPlayback };
      await Promise.all(definitions.map((definition) => runLoop(definition, loop, signal)));
    }),
};

async function withPgwatch(run: Run, work: (pgwatch: Pgwatch) => Promise<void>): Promise<void> {
  if (run.readPage) throw new Error('A program cannot choose how the log is read.');
  const pgwatch = createPgwatch({ ...optionsOf(run.config), reporter: run.reporter });
  await work(pgwatch).finally(() => pgwatch.close());
}

/** The options that a complete config was made from. */
function optionsOf(config: Config): PgwatchOptions {
  const values: Record<string, unknown> = config;
  const named = OPTION_NAMES.map((name) => [name, values[name] ?? values[`${name}Ms`]]);
  return Object.fromEntries(named.filter(([, value]) => value !== undefined && value !== null));
}
