import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { makeProgram } from '../../src/cli/program.ts';

/* The doctor tells people what to run: each such command must exist, in all of its files. */

const FOLDER = fileURLToPath(new URL('../../src/inspect/doctor', import.meta.url));

/** What follows "pgwatch" if that is the project, not a command. */
const PROSE = new RegExp(
  '^(acts|and|cannot|has|is|itself|lacks|made|needs|of|rings|so|tables?|takes|there|uses|was|' +
    'which|stays|any|yet|goes|does|run|fails|that|than)$',
);

test.each(readdirSync(FOLDER))(
  'the commands that %s tells people to run exist, with their flags',
  (file) => {
    const text = readFileSync(`${FOLDER}/${file}`, 'utf8').replaceAll(/^\s*(\/?\*|\/\/).*$/gm, '');
    const unknown: string[] = [];
    for (const [whole, words = ''] of text.matchAll(/\bpgwatch ((?:[a-z-]+\b ?|\$\{\S+?\} ?)+)/g)) {
      let command = makeProgram({ exitCode: 0 });
      const [first = ''] = words.split(' ');
      if (PROSE.test(first)) continue;
      for (const word of words.trim().split(' ')) {
        const next = command.commands.find((each) => each.name() === word);
        if (next) command = next;
        else if (command.parent === null) unknown.push(whole);
        else if (word.startsWith('--') && !command.options.some(({ long }) => long === word)) {
          unknown.push(`${whole} (${word})`);
        } else if (!word.startsWith('-')) break;
        if (unknown.length > 0) break;
      }
    }
    expect(unknown).toEqual([]);
  },
);
