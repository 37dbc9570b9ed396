import type { EventEmitter } from 'node:events';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { type CliOptions, type CliResult, cleanEnvironment } from './cli.ts';

/**
 * Runs the command line within the test's process, which saves half a second for starting one.
 * Commands run one at a time, since folder, environment and output belong to the process. A command
 * that loads consumer files, gets signals or ends the process needs runCli().
 */
export function runMain(
  args: readonly string[],
  options: Omit<CliOptions, 'command'> = {},
): Promise<CliResult> {
  const result = turn.then(() => run(args, options));
  turn = result.catch(() => {});
  return result;
}

let turn: Promise<unknown> = Promise.resolve();

async function run(args: readonly string[], options: CliOptions): Promise<CliResult> {
  const folder = process.cwd();
  const environment = process.env;
  const forgetListeners = [process, process.stdout, process.stderr].map(markListeners);
  const stdin = Object.getOwnPropertyDescriptor(process, 'stdin') ?? {};
  const output = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation(((text: string) => {
      output[name] += text;
      return true;
    }) as typeof process.stdout.write),
  );
  process.chdir(options.cwd ?? tmpdir());
  process.env = { ...cleanEnvironment(), ...options.env };
  Object.defineProperty(process, 'stdin', {
    configurable: true,
    value: Readable.from([Buffer.from(options.input ?? '')]),
  });
  try {
    return { exitCode: await main(args), ...output };
  } finally {
    process.chdir(folder);
    process.env = environment;
    Object.defineProperty(process, 'stdin', stdin);
    for (const spy of spies) spy.mockRestore();
    for (const forget of forgetListeners) forget();
  }
}

/**
 * Records the listeners of an emitter. Returns a function that removes those added since, which a
 * command keeps until its process ends.
 */
function markListeners(emitter: EventEmitter): () => void {
  const listenersOf = () =>
    emitter
      .eventNames()
      .flatMap((name) => emitter.rawListeners(name).map((listener) => ({ name, listener })));
  const before = listenersOf();
  return () => {
    for (const { name, listener } of listenersOf()) {
      const isOld = before.some((old) => old.name === name && old.listener === listener);
      if (!isOld) emitter.off(name, listener as () => void);
    }
  };
}
