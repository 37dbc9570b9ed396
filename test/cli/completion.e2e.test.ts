import { expect, test } from 'vitest';
import { runCli } from '../helpers/cli.ts';
import { completeInBash } from '../helpers/shells.ts';

test('completion prints a script and nothing else; another shell is wrong usage', async () => {
  const { stdout, stderr, exitCode } = await runCli(['completion', 'bash']);
  expect([stderr, exitCode]).toEqual(['', 0]);
  expect(completeInBash(stdout, 'pgwatch comp')).toEqual(['completion']);
  const other = await runCli(['completion', 'tcsh']);
  expect([other.stdout, other.exitCode]).toEqual(['', 2]);
  expect(other.stderr).toContain('Allowed choices are bash, zsh, fish.');
});
