import { spawn, spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { onTestFinished } from 'vitest';

/** The program, from PGWATCH_TEST_PGBENCH or a usual place; undefined if not found. */
export function findPgbench(): string | undefined {
  const newestFirst = globSync('/usr/lib/postgresql/*/bin/pgbench').sort().reverse();
  const candidates = [process.env.PGWATCH_TEST_PGBENCH, 'pgbench', ...newestFirst];
  return candidates.find((path) => path && spawnSync(path, ['--version']).status === 0);
}

/** A running pgbench. It is killed when the test that started it ends. */
export type Pgbench = {
  isRunning(): boolean;
  /** Resolves with its output; rejects if it fails. */
  done: Promise<string>;
};

/** Starts pgbench on a database, inside a test. */
export function startPgbench(program: string, url: string, args: readonly string[]): Pgbench {
  const child = spawn(program, [...args, url]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const done = new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      if (exitCode === 0) resolve(output);
      else reject(new Error(`pgbench ${args.join(' ')} ended with ${exitCode}: ${output}`));
    });
  });
  // A later await still sees the error.
  done.catch(() => {});
  return { isRunning: () => child.exitCode === null && child.signalCode === null, done };
}
