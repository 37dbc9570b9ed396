import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { confirm } from '../../src/cli/confirm.ts';
import { collectReports } from '../helpers/daemon.ts';

function terminal(answer: string, isTTY = true) {
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = new PassThrough({ encoding: 'utf8' });
  input.end(answer);
  return { input, output };
}

async function ask(streams: ReturnType<typeof terminal>, options: { yes?: boolean } = {}) {
  const outcome = { exitCode: 0 };
  const { reporter } = collectReports();
  const isYes = await confirm('Remove it?', options, { outcome, reporter }, streams);
  return { isYes, ...outcome };
}

test.each([
  ['y', true],
  ['YES', true],
  [' yes ', true],
  ['n', false],
  ['', false],
  ['yesterday', false],
])('the answer %j counts as %j, and a no as a failure', async (answer, expected) => {
  const streams = terminal(`${answer}\n`);
  expect(await ask(streams)).toEqual({ isYes: expected, exitCode: expected ? 0 : 1 });
  expect(streams.output.read()).toContain('Remove it? [y/N] ');
});

test('Ctrl-D instead of an answer counts as no', async () => {
  expect(await ask(terminal(''))).toEqual({ isYes: false, exitCode: 1 });
});

test('without a terminal, asking is a usage error that names the flag', async () => {
  await expect(ask(terminal('y\n', false))).rejects.toMatchObject({
    code: 'usage',
    message: 'Remove it? This is not a terminal, so it cannot ask: pass --yes to proceed.',
  });
});

test('--yes is an answer, and nothing is asked', async () => {
  const streams = terminal('n\n', false);
  expect(await ask(streams, { yes: true })).toEqual({ isYes: true, exitCode: 0 });
  expect(streams.output.read()).toBeNull();
});
