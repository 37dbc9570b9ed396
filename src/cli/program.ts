import { Command, type CommandUnknownOpts, Help } from '@commander-js/extra-typings';
import { readVersion } from '../version.ts';
import { terminalColumns, wrapped } from '../wrap.ts';
import { addCleanup } from './cleanup/command.ts';
import { addCompletion } from './completion/command.ts';
import { addConsumers } from './consumers/command.ts';
import { addDev } from './dev/command.ts';
import { addDlq } from './dlq/command.ts';
import { addDoctor } from './doctor/command.ts';
import { addHistory } from './history/command.ts';
import { addInit } from './init/command.ts';
import { addListen } from './listen/command.ts';
import { addMigrate } from './migrate/command.ts';
import { addNotify } from './notify/command.ts';
import { COMMON_HEADING, type CommandResult } from './options.ts';
import { addReplay } from './replay/command.ts';
import { addSeek } from './seek/command.ts';
import { addShow } from './show/command.ts';
import { addSnapshot } from './snapshot/command.ts';
import { addStatus } from './status/command.ts';
import { addTail } from './tail/command.ts';
import { addTrigger } from './trigger/command.ts';
import { addTypes } from './types/command.ts';
import { addWhy } from './why/command.ts';

/** Builds the command line. A command imports what it needs when it runs. */
export function makeProgram(outcome: CommandResult): CommandUnknownOpts {
  const program = new Command('pgwatch')
    .description(
      'Durable LISTEN/NOTIFY for PostgreSQL: consumers never miss a notification, ' +
        'even one sent while they were down.',
    )
    .version(readVersion(), '-V, --version')
    .exitOverride()
    .configureHelp({ groupItems: commonLast })
    .showSuggestionAfterError()
    .showHelpAfterError('(see --help)')
    .configureOutput({
      outputError: (text, write) => {
        const columns = terminalColumns(process.stderr);
        write(columns === null ? text : wrapped(text, { columns, indent: 2, used: 0 }));
      },
    })
    .addHelpText(
      'after',
      `
First steps:
  $ pgwatch dev --demo                 see it work on an embedded PostgreSQL
  $ pgwatch migrate                    install it in DATABASE_URL
  $ pgwatch listen                     run the consumers in ./consumers
  $ pgwatch notify orders '{"id": 1}'  publish a notification
  $ pgwatch trigger add users          publish the changes of a table`,
    );
  for (const [heading, adders] of GROUPS) {
    program.commandsGroup(heading);
    for (const add of adders) add(program, outcome);
  }
  return program;
}

/** Groups as commander does, but puts the common options last. */
const commonLast: Help['groupItems'] = (unsorted, visible, getGroup) => {
  const groups = Help.prototype.groupItems(unsorted, visible, getGroup);
  const common = groups.get(COMMON_HEADING);
  if (common && groups.delete(COMMON_HEADING)) groups.set(COMMON_HEADING, common);
  return groups;
};

const GROUPS: [heading: string, adders: ((program: Command, outcome: CommandResult) => void)[]][] =
  [
    ['Get started:', [addInit, addMigrate, addDev, addCompletion]],
    ['Publish and consume:', [addListen, addNotify]],
    ['Capture tables:', [addTrigger, addSnapshot, addTypes]],
    ['Observe and explain:', [addStatus, addWhy, addTail, addShow, addHistory, addDoctor]],
    ['Move, replay, clean up:', [addConsumers, addDlq, addSeek, addReplay, addCleanup]],
  ];
