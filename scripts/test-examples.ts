/*
npm run test:examples: installs the packages of each example, checks its types, builds it if it has
to be built, and tests it.
*/
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { install, PRISMA_ENV, run } from './packages.ts';

const FOLDER = resolve('examples');
const NEXT = join(FOLDER, 'next');

for (const entry of readdirSync(FOLDER, { withFileTypes: true })) {
  if (entry.isDirectory()) install(join(FOLDER, entry.name));
}
run('npx', ['tsc', '-p', FOLDER, '--noEmit']);
run('npx', ['tsc', '-p', join(FOLDER, 'nest'), '--noEmit']);
copyPgwatch(join(NEXT, 'node_modules/pgwatch'));
// It also checks the types.
const env = { ...PRISMA_ENV, NEXT_TELEMETRY_DISABLED: '1' };
run('npm', ['run', 'build'], { cwd: NEXT, env });
run('npx', ['vitest', 'run', '--config', 'test/examples/vitest.config.ts']);

/** Puts pgwatch there as it is installed: Next.js bundles a package that is only linked. */
function copyPgwatch(to: string): void {
  rmSync(to, { recursive: true, force: true });
  for (const path of ['package.json', 'bin', 'dist', 'sql']) {
    cpSync(path, join(to, path), { recursive: true });
  }
}
