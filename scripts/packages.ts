import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';

/** Installs the packages of a folder, unless what is installed is as new as its lock file. */
export function install(folder: string): void {
  const changedAt = (path: string) =>
    statSync(join(folder, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (changedAt('node_modules/.package-lock.json') >= changedAt('package-lock.json')) return;
  // Without scripts: those of Prisma download engines that its driver adapters do not need.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder });
}

export type Settings = { cwd?: string; env?: Record<string, string> };

/** Runs a program to its end. If it fails, so does this process. */
export function run(program: string, args: string[], { cwd, env }: Settings = {}): void {
  const settings = { stdio: 'inherit', cwd, env: { ...process.env, ...env } } as const;
  const { status } = spawnSync(program, args, settings);
  if (status !== 0) process.exit(status ?? 1);
}

/** With these, "prisma generate" downloads nothing. */
export const PRISMA_ENV = {
  CHECKPOINT_DISABLE: '1',
  // Generating does not use it, but without a path the command would download one.
  PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
};
