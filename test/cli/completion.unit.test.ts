import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { levelsOf } from '../../src/cli/completion/levels.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { makeProgram } from '../../src/cli/program.ts';
import { makeProject } from '../helpers/project.ts';
import { completeInBash, completeInFish, completeInZsh, hasShell } from '../helpers/shells.ts';

const program = makeProgram({ exitCode: 0 });
const levels = levelsOf(program);
const names = (path: string) => levels.find((level) => level.path === path);
const optionsOf = (path: string) => names(path)?.options.map(({ long }) => long) ?? [];

/** Asks a shell with the script installed what it offers for these lines. */
const SHELLS: Record<string, (lines: readonly string[]) => string[][]> = {
  bash: (lines) => lines.map((line) => completeInBash(bashScript(levels), line)),
  zsh: (lines) => completeInZsh(fileOf(zshScript(levels)), lines),
  fish: (lines) => lines.map((line) => completeInFish(fileOf(fishScript(levels)), line)),
};

const EXPECTED: [line: string, offered: string[]][] = [
  ['pgwatch tri', ['trigger']],
  ['pgwatch trigger ', ['add', 'list', 'remove', 'sql', 'sync']],
  ['pgwatch trigger add --pay', ['--payload']],
  ['pgwatch listen --', optionsOf('listen').sort()],
  ['pgwatch listen --log-format ', ['json', 'text']],
  ['pgwatch listen --log-format=j', ['json']],
  // The value of an option is not a command, whatever its name.
  ['pgwatch --config list trigger sy', ['sync']],
  ['pgwatch listen --timeout ', []],
  ['pgwatch completion ', ['bash', 'fish', 'zsh']],
];

function fileOf(text: string): string {
  return join(makeProject({ script: text }), 'script');
}

test('every command is a level, with its options', () => {
  const paths = levels.map(({ path }) => path);
  for (const command of program.commands) expect(paths).toContain(command.name());
  expect(names('trigger')?.words.map(({ text }) => text)).toEqual([
    'add',
    'list',
    'remove',
    'sql',
    'sync',
  ]);
  expect(optionsOf('listen')).toEqual(expect.arrayContaining(['--once', '--log-format', '--help']));
});

describe.each(Object.entries(SHELLS))('in %s', (shell, ask) => {
  test.skipIf(!hasShell(shell))('Tab completes commands, options and choices', () => {
    const answers = ask(EXPECTED.map(([line]) => line));
    // fish writes the option before its value.
    const offered = answers.map((words) => words.map((word) => word.replace(/^--.*=/, '')).sort());
    expect(EXPECTED.map(([line], index) => [line, offered[index]])).toEqual(EXPECTED);
  });
});

test('bash completes files if an option takes one', () => {
  const folder = makeProject({ 'a b.ts': '', 'c.ts': '' });
  expect(completeInBash(bashScript(levels), `pgwatch listen --config ${folder}/c`)).toEqual([
    `${folder}/c.ts`,
  ]);
});
