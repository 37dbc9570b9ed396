import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export type CliOptions = {
  /** Default: the temporary folder, which has no config file and no consumers. */
  cwd?: string;
  /** Added to our own environment, except its connection and colour settings. */
  env?: Record<string, string | undefined>;
  /** Written to stdin, which is then closed. Default: nothing. */
  input?: string | Buffer;
  /** The program that gets the arguments. Default: Node.js with the repository's bin/pgwatch.js. */
  command?: readonly [string, ...string[]];
};

/** Exit code null: it was ended by a signal. */
export type CliResult = { exitCode: number | null; stdout: string; stderr: string };

/** A running pgwatch. It is killed when the test that started it ends. */
export type Cli = Readonly<Pick<CliResult, 'stdout' | 'stderr'>> & {
  /**
   * Resolves once stdout or stderr contains it; rejects on a timeout or if the process ends first.
   */
  waitFor(expected: string | RegExp, timeoutMs?: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
  exited: Promise<CliResult>;
};

/** Runs the built binary to its end, inside a test. */
export const runCli = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  startCli(args, options).exited;

/** Starts the built binary inside a test, and returns at once. */
export function startCli(args: readonly string[], options: CliOptions = {}): Cli {
  const [program, ...first] = options.command ?? [process.execPath, BIN];
  const child = spawn(program, [...first, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { ...cleanEnvironment(), ...options.env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  const checks = new Set<() => void>();
  let hasEnded = false;
  const recheck = () => {
    for (const check of checks) check();
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      recheck();
    });
  }
  const exited = new Promise<CliResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      hasEnded = true;
      recheck();
      resolve({ exitCode, ...output });
    });
  });
  // A program that ends without reading its stdin closes it, which is not an error of the test.
  child.stdin.on('error', () => {}).end(options.input ?? '');
  const isPrinted = (expected: string | RegExp) =>
    Object.values(output).some((text) =>
      typeof expected === 'string' ? text.includes(expected) : text.search(expected) >= 0,
    );
  const waitFor = (expected: string | RegExp, timeoutMs = 20_000) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => settle('It has not printed'), timeoutMs);
      const settle = (problem?: string) => {
        clearTimeout(timer);
        checks.delete(check);
        if (problem === undefined) resolve();
        else reject(new Error(`${problem} ${expected}:\n${output.stdout}\n${output.stderr}`));
      };
      const check = () => {
        if (isPrinted(expected)) settle();
        else if (hasEnded) settle('It ended without printing');
      };
      checks.add(check);
      check();
    });
  return {
    get stdout() {
      return output.stdout;
    },
    get stderr() {
      return output.stderr;
    },
    waitFor,
    signal: (name) => void child.kill(name),
    exited,
  };
}

/** Our own environment without variables that change what a command does. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(DATABASE_URL|PG.*|NO_COLOR|FORCE_COLOR|NODE_OPTIONS)$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

const BIN = fileURLToPath(new URL('../../bin/pgwatch.js', import.meta.url));
