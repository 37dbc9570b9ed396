import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBinaries, reachableBinaries, serverUser } from '../../src/embedded/binaries.ts';
import { TortureServer } from './server.ts';
import type { World } from './world.ts';

/** A server whose time comes from libfaketime, with an offset that can be changed while it runs. */
export class FakedClock {
  readonly #file: string;
  #offsetS = 0;

  private constructor(file: string) {
    this.#file = file;
    this.#write();
  }

  /** Why it cannot be used on this machine; null if it can. */
  static unavailable(): string | null {
    return findLibrary()
      ? null
      : 'libfaketime is missing: on Debian it comes with the package faketime';
  }

  static async startServer(): Promise<TortureServer> {
    const folder = mkdtempSync(join(tmpdir(), 'pgwatch-clock-'));
    chmodSync(folder, 0o755);
    const clock = new FakedClock(join(folder, 'offset'));
    const server = await TortureServer.start(undefined, wrap(folder, clock.#file));
    CLOCKS.set(server, clock);
    return server;
  }

  /** The clock of a server started by startServer. */
  static of(server: TortureServer): FakedClock {
    return CLOCKS.get(server) as FakedClock;
  }

  /** Sets the clock ahead, or back, by that much. */
  jump(seconds: number): void {
    this.#offsetS += seconds;
    this.#write();
  }

  /** Throws if the server does not take its time from here. */
  async check(world: World): Promise<void> {
    const [row] = await world.query<{ ms: number }>(
      'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
    );
    const differenceS = ((row?.ms ?? 0) - Date.now()) / 1000;
    assert.ok(Math.abs(differenceS - this.#offsetS) < 60, `the server is ${differenceS} s ahead`);
  }

  /** In one step: the server reads the file all the time. */
  #write(): void {
    const sign = this.#offsetS < 0 ? '' : '+';
    writeFileSync(`${this.#file}.new`, `${sign}${this.#offsetS}\n`);
    chmodSync(`${this.#file}.new`, 0o644);
    renameSync(`${this.#file}.new`, this.#file);
  }
}

const CLOCKS = new WeakMap<TortureServer, FakedClock>();

/** Makes binaries whose postgres takes the time from the file. */
function wrap(folder: string, file: string): string {
  const own = process.env.PGWATCH_TEST_BINARIES ?? findBinaries();
  const real = reachableBinaries(own, serverUser());
  const binaries = join(folder, 'binaries');
  mkdirSync(join(binaries, 'bin'), { recursive: true });
  symlinkSync(join(real, 'bin', 'initdb'), join(binaries, 'bin', 'initdb'));
  const settings = [
    `LD_PRELOAD=${findLibrary()}`,
    `FAKETIME_TIMESTAMP_FILE=${file}`,
    'FAKETIME_NO_CACHE=1',
    // If a clock is set, only the time of day jumps.
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
    'DONT_FAKE_MONOTONIC=1',
    'NO_FAKE_STAT=1',
  ];
  const script =
    `#!/bin/sh\nexport ${settings.join(' ')}\n` + `exec ${join(real, 'bin', 'postgres')} "$@"\n`;
  writeFileSync(join(binaries, 'bin', 'postgres'), script);
  chmodSync(join(binaries, 'bin', 'postgres'), 0o755);
  return binaries;
}

function findLibrary(): string | undefined {
  const triplets = ['x86_64-linux-gnu', 'aarch64-linux-gnu'];
  return triplets
    .map((triplet) => `/usr/lib/${triplet}/faketime/libfaketime.so.1`)
    .find((path) => existsSync(path));
}
