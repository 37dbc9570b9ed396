/*
npm run test:orms: installs the libraries of test/orms, checks the types of its tests and of the
code in docs/orms.md, and runs both.
*/
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { install, PRISMA_ENV, run } from './packages.ts';

const FOLDER = resolve('test/orms');
const GENERATED = join(FOLDER, 'generated');

install(FOLDER);
rmSync(GENERATED, { recursive: true, force: true });
run('npx', ['prisma', 'generate', '--schema', 'schema.prisma'], { cwd: FOLDER, env: PRISMA_ENV });
writeBlocks();
run('npx', ['tsc', '-p', FOLDER, '--noEmit']);
run('npx', ['vitest', 'run', '--config', join(FOLDER, 'vitest.config.ts')]);

/** Writes the code blocks of docs/orms.md as files, each named by the comment in its first line. */
function writeBlocks(): void {
  const page = readFileSync('docs/orms.md', 'utf8');
  for (const [, name = '', text = ''] of page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)) {
    writeFileSync(join(GENERATED, name), text);
  }
}
