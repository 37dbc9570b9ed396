import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { emptyLog, useDatabase } from '../helpers/database.ts';
import { makeProject } from '../helpers/project.ts';

/** Goal: consumers that need more than Node.js does run as their authors run everything else. */

const database = useDatabase();
const MODULES = fileURLToPath(new URL('../../node_modules/', import.meta.url));

afterEach(() => emptyLog(database));

const consumer = (imports: string, expression: string) => `${imports}
export default {
  channels: ['orders'],
  handle({ payload }) { console.log(${expression}); },
};
`;

/** Runs listen in a project with these files, and returns what the consumer printed. */
async function listen(files: Record<string, string>, env: Record<string, string> = {}) {
  const cwd = makeProject({ 'package.json': '{ "type": "module" }', ...files });
  symlinkSync(MODULES, join(cwd, 'node_modules'));
  await database.query(`select smart_notify('orders', '1')`);
  return {
    cwd,
    run: () => runCli(['listen', '--once'], { cwd, env: { DATABASE_URL: database.url, ...env } }),
  };
}

test('consumers that were compiled run from their folder', async () => {
  const { cwd, run } = await listen({
    'pgwatch.config.ts': `export default { consumers: 'dist/consumers' };`,
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2024',
        outDir: 'dist',
        rootDir: 'src',
        declaration: true,
        sourceMap: true,
        types: ['node'],
      },
      include: ['src'],
    }),
    'src/total.ts': 'export enum Total { One = 1 }',
    'src/consumers/bill.ts': consumer(
      `import { Total } from '../total.js';`,
      'payload === Total.One',
    ).replace('{ payload }', '{ payload }: { payload: unknown }'),
  });
  const tsc = join(MODULES, '.bin', 'tsc');
  expect(await runCli([cwd], { command: [tsc, '-p'] })).toMatchObject({ exitCode: 0 });
  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'true\n' });
});

test.each([
  [
    'enums, and .js imports of .ts files',
    { 'consumers/_total.ts': 'export enum Total { One = 1 }' },
    `import { Total } from './_total.js';`,
  ],
  [
    'paths of tsconfig.json',
    {
      'lib/total.ts': 'export enum Total { One = 1 }',
      'tsconfig.json': '{ "compilerOptions": { "paths": { "@/*": ["./lib/*"] } } }',
    },
    `import { Total } from '@/total.ts';`,
  ],
])('with tsx, consumers may use %s', async (_, files, imports) => {
  const bill = consumer(imports, 'payload === Total.One');
  const { run } = await listen(
    { ...files, 'consumers/bill.ts': bill },
    { NODE_OPTIONS: '--import tsx' },
  );
  expect(await run()).toMatchObject({ exitCode: 0, stdout: 'true\n' });
});
