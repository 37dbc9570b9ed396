import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A disk of our own, in memory, that can be filled. Mounting it requires Linux and root. */
export class SmallDisk {
  readonly folder: string;
  readonly #ballast: string;
  readonly #onExit = () => unmount(this.folder);

  private constructor(folder: string) {
    this.folder = folder;
    this.#ballast = join(folder, 'ballast');
    process.once('exit', this.#onExit);
  }

  /** Why it cannot be used here; null if it can. */
  static unavailable(): string | null {
    if (process.platform !== 'linux') return 'it fills a disk, and mounting one requires Linux';
    if (process.getuid?.() !== 0) return 'it fills a disk, and mounting one requires root';
    return null;
  }

  static mount(megabytes: number): SmallDisk {
    sweep();
    const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
    run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'pgwatch-torture', folder]);
    return new SmallDisk(folder);
  }

  /** Writes until no space is left. */
  fill(): void {
    const chunk = Buffer.alloc(64 * 1024);
    try {
      for (;;) writeFileSync(this.#ballast, chunk, { flag: 'a' });
    } catch {
      // It is full.
    }
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  unmount(): void {
    process.off('exit', this.#onExit);
    unmount(this.folder);
  }
}

/** Unmounts what killed processes have left mounted. */
function sweep(): void {
  const start = join(tmpdir(), PREFIX);
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const folder = line.split(' ')[1] ?? '';
    if (!folder.startsWith(start)) continue;
    const pid = folder.slice(start.length).split('-')[0] ?? '';
    if (!isAlive(Number(pid))) unmount(folder);
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Lazily: a server that is being killed may still have files open. */
function unmount(folder: string): void {
  run('umount', ['--lazy', folder]);
  rmdirSync(folder);
}

function run(program: string, values: string[]): void {
  const { status, stderr } = spawnSync(program, values, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${values.join(' ')} failed: ${stderr}`);
}

const PREFIX = 'pgwatch-disk-';
