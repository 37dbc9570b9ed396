import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import * as testing from '../../src/testing.ts';
import { runCli } from '../helpers/cli.ts';
import { compile } from '../helpers/compiling.ts';
import { linkPackages, makeProject } from '../helpers/project.ts';

/*
Goal: the code in docs/testing.md works as it is shown.
Method: each block names its file in its first line. All are compiled, and each test is run by the
runner it is written for.
*/

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/testing.md'), 'utf8');
const files = Object.fromEntries(
  [...page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)].map(([, file = '', text = '']) => [
    file,
    text,
  ]),
);

/** A project that has what the page uses. */
function makeTestProject(): string {
  const cwd = makeProject(files);
  linkPackages(cwd, ['pg', 'vitest']);
  return cwd;
}

test('each block names its file, and all compile in strict mode', async () => {
  expect(Object.keys(files)).toHaveLength(page.match(/^```ts$/gm)?.length ?? 0);
  expect(await compile(files, 'built', ['vitest'])).toBe('');
});

test('the tests with vitest pass', async () => {
  const command = [process.execPath, join(ROOT, 'node_modules/vitest/vitest.mjs')] as const;
  const patient = ['--testTimeout', '30000', '--hookTimeout', '60000'];
  const args = ['run', ...patient, 'handler', 'database', 'loop'];
  const options = { cwd: makeTestProject(), command, env: { NO_COLOR: '1' } };
  const { exitCode, stdout, stderr } = await runCli(args, options);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/Tests.* 5 passed/);
}, 120_000);

test('the test with node:test passes', async () => {
  const command = [process.execPath] as const;
  const args = ['--test', 'node.test.ts'];
  const { exitCode, stdout } = await runCli(args, { cwd: makeTestProject(), command });
  expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/pass 1/)]);
}, 120_000);

test('the page names everything that pgwatch/testing has', () => {
  const names = Object.keys(testing);
  expect(names).toContain('TestPgwatch');
  expect(names.filter((name) => !page.includes(name))).toEqual([]);
});
