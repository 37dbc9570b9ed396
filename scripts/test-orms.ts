/*
npm run test:orms: installs the libraries of test/orms, checks the types of its tests and of the
code in docs/orms.md, and runs both.
*/
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const FOLDER = resolve('test/orms');
const GENERATED = join(FOLDER, 'generated');

if (!isInstalled()) {
  // Without scripts: those of Prisma download engines that its driver adapters do not need.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER });
}
const link = join(FOLDER, 'node_modules/pgwatch');
rmSync(link, { force: true });
symlinkSync('../../..', link);
rmSync(GENERATED, { recursive: true, force: true });
generatePrisma();
writeBlocks();
run('npx', ['tsc', '-p', FOLDER, '--noEmit']);
run('npx', ['vitest', 'run', '--config', join(FOLDER, 'vitest.config.ts')]);

/** Whether what is installed is as new as the lock file. */
function isInstalled(): boolean {
  const changedAt = (path: string) =>
    statSync(join(FOLDER, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return changedAt('node_modules/.package-lock.json') >= changedAt('package-lock.json');
}

function generatePrisma(): void {
  const env = {
    CHECKPOINT_DISABLE: '1',
    // Generating does not use it, but without a path the command would download one.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
  };
  run('npx', ['prisma', 'generate', '--schema', 'schema.prisma'], { cwd: FOLDER, env });
}

/** Writes the code blocks of docs/orms.md as files, each named by the comment in its first line. */
function writeBlocks(): void {
  const page = readFileSync('docs/orms.md', 'utf8');
  for (const [, name = '', text = ''] of page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)) {
    writeFileSync(join(GENERATED, name), text);
  }
}

type Settings = { cwd?: string; env?: Record<string, string> };

function run(program: string, args: string[], { cwd, env }: Settings = {}): void {
  const settings = { stdio: 'inherit', cwd, env: { ...process.env, ...env } } as const;
  const { status } = spawnSync(program, args, settings);
  if (status !== 0) process.exit(status ?? 1);
}
