import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DaemonSetup } from './setup.ts';

/** A daemon that is to run: whatever ends its process, another one is started, as systemd would. */
export class SupervisedDaemon {
  /** How often its process was killed, by itself or by others. */
  deaths = 0;
  /** Exits that nobody has asked for, other than by SIGKILL: a fault of the daemon. */
  readonly crashes: string[] = [];
  readonly #setups: () => DaemonSetup;
  #child: ChildProcess;
  #isStopping = false;
  #ended: Promise<void>;

  /** @param setups is asked for the setup of each process */
  constructor(setups: () => DaemonSetup) {
    this.#setups = setups;
    this.#child = spawnDaemon(setups());
    this.#ended = this.#supervise();
  }

  /** Kills it (-9); the next process starts soon. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Stops its process as it is, as a hypervisor or a debugger would, and lets it go on later. */
  async freeze(durationMs: number, signal: AbortSignal): Promise<void> {
    const child = this.#child;
    child.kill('SIGSTOP');
    await delay(durationMs, undefined, { signal }).catch(() => {});
    child.kill('SIGCONT');
  }

  /** Ends it cleanly, and waits. One that does not end is killed, which counts as a crash. */
  async stop(): Promise<void> {
    this.#isStopping = true;
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
    this.#isStopping = true;
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  async #supervise(): Promise<void> {
    for (;;) {
      const [code, signal] = await exitOf(this.#child);
      if (signal === 'SIGKILL') this.deaths += 1;
      else if (code !== 0) this.crashes.push(`exit code ${code}, signal ${signal}`);
      else if (!this.#isStopping) this.crashes.push('ended without being asked');
      if (this.#isStopping) return;
      this.#child = spawnDaemon(this.#setups());
    }
  }
}

function spawnDaemon(setup: DaemonSetup): ChildProcess {
  const output = openSync(join(setup.folder, 'daemons.log'), 'a');
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(setup)], {
    stdio: ['ignore', output, output],
    // Started hundreds of times, it need not be compiled each time.
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'pgwatch-torture-compiled') },
  });
  closeSync(output);
  return child;
}

async function exitOf(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return [child.exitCode, child.signalCode];
}

const SCRIPT = fileURLToPath(new URL('./daemon-process.ts', import.meta.url));
const STOP_MS_MAX = 10_000;
