import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import type { Random } from './random.ts';

export type Faults = { kills: number; terminations: number };

/**
 * A daemon in a process of its own that is killed and started again, and whose connections are cut.
 */
export class KilledDaemon {
  readonly faults: Faults = { kills: 0, terminations: 0 };
  readonly #url: string;
  readonly #reader: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'pgwatch-race-'));
  #child: ChildProcess | undefined;

  constructor(url: string, reader: string) {
    this.#url = url;
    this.#reader = reader;
  }

  /** What its handler was given so far, by all its processes. */
  get deliveries(): string[] {
    const file = join(this.#folder, 'deliveries');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  }

  start(): void {
    const script = fileURLToPath(new URL('./daemon-process.ts', import.meta.url));
    const file = join(this.#folder, 'deliveries');
    this.#child = spawn(process.execPath, [script, this.#url, this.#reader, file], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  }

  /** Harms it again and again until the signal aborts; leaves it running. */
  async torment(random: Random, signal: AbortSignal): Promise<void> {
    const client = new Client({ connectionString: this.#url, application_name: 'tormentor' });
    await client.connect();
    while (!signal.aborted) {
      await delay(200 + random() * 600, undefined, { signal }).catch(() => {});
      if (random() < 0.4) await this.#kill();
      else await this.#terminate(client, random() < 0.5 ? 'pgwatch control' : 'pgwatch');
    }
    await client.end();
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #kill(): Promise<void> {
    this.faults.kills += 1;
    const exited = once(this.#child as ChildProcess, 'exit');
    this.#child?.kill('SIGKILL');
    await exited;
    this.start();
  }

  async #terminate(client: Client, applicationName: string): Promise<void> {
    const { rowCount } = await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1',
      [applicationName],
    );
    this.faults.terminations += rowCount ?? 0;
  }
}
