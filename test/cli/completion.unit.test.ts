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

/** Asks a shell in which the script is installed. */
const SHELLS = {
  bash: (line: string) => completeInBash(bashScript(levels), line),
  zsh: (line: string) => completeInZsh(fileOf(zshScript(levels)), line),
  fish: (line: string) => completeInFish(fileOf(fishScript(levels)), line),
};

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
    const complete = (line: string) => ask(line).sort();
    expect(complete('pgwatch tri')).toEqual(['trigger']);
    expect(complete('pgwatch trigger ')).toEqual(['add', 'list', 'remove', 'sql', 'sync']);
    expect(complete('pgwatch trigger add --pay')).toEqual(['--payload']);
    expect(complete('pgwatch listen --')).toEqual(optionsOf('listen').sort());
    expect(complete('pgwatch listen --log-format ')).toEqual(['json', 'text']);
    // The value of an option is no command, whatever it is called.
    expect(complete('pgwatch --config list trigger sy')).toEqual(['sync']);
    expect(complete('pgwatch listen --timeout ')).toEqual([]);
    expect(complete('pgwatch completion ')).toEqual(['bash', 'fish', 'zsh']);
    const joined = complete('pgwatch listen --log-format=j').map((text) => text.split('=').at(-1));
    expect(joined).toEqual(['json']);
  });
});

test('in bash files are completed where one is asked for', () => {
  const folder = makeProject({ 'a b.ts': '', 'c.ts': '' });
  expect(SHELLS.bash(`pgwatch listen --config ${folder}/c`)).toEqual([`${folder}/c.ts`]);
});
