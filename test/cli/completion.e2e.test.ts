import { expect, test } from 'vitest';
import { runMain } from '../helpers/main.ts';
import { completeInBash } from '../helpers/shells.ts';

test('completion prints only a script; an unsupported shell is wrong usage', async () => {
  const { stdout, stderr, exitCode } = await runMain(['completion', 'bash']);
  expect([stderr, exitCode]).toEqual(['', 0]);
  expect(completeInBash(stdout, 'pgwatch comp')).toEqual(['completion']);
  const other = await runMain(['completion', 'tcsh']);
  expect([other.stdout, other.exitCode]).toEqual(['', 2]);
  expect(other.stderr).toContain('Allowed choices are bash, zsh, fish.');
});
