import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../../helpers/wait.ts';
import type { DaemonSetup } from './setup.ts';

/** When a process is stopped, and the signal that asks for it. */
const FREEZE_SIGNALS = {
  now: 'SIGSTOP',
  'at a step': 'SIGUSR2',
  'before a commit': 'SIGHUP',
} as const;

export type Freezing = keyof typeof FREEZE_SIGNALS;

/**
 * A daemon that is kept running: when its process ends, another one is started, as systemd would.
 */
export class SupervisedDaemon {
  /** How often its process was killed, by itself or by others. */
  deaths = 0;
  /** Unrequested exits other than by SIGKILL: faults of the daemon. */
  readonly crashes: string[] = [];
  /** True once it is to end for good. */
  isStopping = false;
  readonly #setups: () => DaemonSetup;
  #child: ChildProcess;
  #ended: Promise<void>;

  /** @param setups returns the setup for each new process */
  constructor(setups: () => DaemonSetup) {
    this.#setups = setups;
    this.#child = spawnDaemon(setups());
    this.#ended = this.#supervise();
  }

  /** Kills it (-9); the next process starts soon. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** The id of its process. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Stops its process, as a hypervisor or a debugger would: now, within its next steps (see
   * signalAtStep), or before it commits work (see stopAfterWork). Returns once it has stopped.
   */
  async freeze(when: Freezing): Promise<void> {
    this.#child.kill(FREEZE_SIGNALS[when]);
    await until('the process has stopped', () => stateOf(this.pid).startsWith('T'));
  }

  /** Resumes the frozen process. */
  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it cleanly, and waits. If it does not end it is killed, which counts as a crash. */
  async stop(): Promise<void> {
    this.isStopping = true;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.crashes.push(`did not end within ${STOP_MS_MAX} ms of SIGTERM`);
      this.#child.kill('SIGKILL');
    }, STOP_MS_MAX);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Ends it at once. */
  async abandon(): Promise<void> {
    this.isStopping = true;
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async #supervise(): Promise<void> {
    for (;;) {
      const [code, signal] = await exitOf(this.#child);
      if (signal === 'SIGKILL') this.deaths += 1;
      // A process that has hardly begun ends on SIGTERM like any program.
      else if (signal === 'SIGTERM' && this.isStopping) return;
      else if (code !== 0) this.crashes.push(`exit code ${code}, signal ${signal}`);
      else if (!this.isStopping) this.crashes.push('ended without being asked');
      if (this.isStopping) return;
      this.#child = spawnDaemon(this.#setups());
    }
  }
}

function spawnDaemon(setup: DaemonSetup): ChildProcess {
  const output = openSync(join(setup.folder, 'daemons.log'), 'a');
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(setup)], {
    stdio: ['ignore', output, output],
    // It is started hundreds of times and need not be compiled each time.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'pgwatch-torture-compiled') },
  });
  closeSync(output);
  return child;
}

function stateOf(pid: number): string {
  return spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
}

async function exitOf(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return [child.exitCode, child.signalCode];
}

const SCRIPT = fileURLToPath(new URL('./daemon-process.ts', import.meta.url));
const STOP_MS_MAX = 10_000;
