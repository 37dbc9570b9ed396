import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addDev } from './commands/dev.ts';
import { addDlq } from './commands/dlq.ts';
import { addListen } from './commands/listen.ts';
import { addMigrate } from './commands/migrate.ts';
import { addNotify } from './commands/notify.ts';
import { addReplay } from './commands/replay.ts';
import { addSeek } from './commands/seek.ts';
import { addSnapshot } from './commands/snapshot.ts';
import { addTrigger } from './commands/trigger.ts';
import { addTypes } from './commands/types.ts';
import { addWhy } from './commands/why.ts';
import type { Outcome } from './options.ts';

/** The command line with all commands; what a command needs is imported when it runs. */
export function makeProgram(outcome: Outcome): Command {
  const program = new Command('pgwatch')
    .description(
      'Durable LISTEN/NOTIFY for PostgreSQL: no notification is missed by who was not listening.',
    )
    .version(readVersion(), '-V, --version')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(see --help)')
    .addHelpText(
      'after',
      `
First steps:
  $ pgwatch dev --demo                 watch it work on a PostgreSQL of its own
  $ pgwatch migrate                    install it, in DATABASE_URL
  $ pgwatch listen                     run the consumers in ./consumers
  $ pgwatch notify orders '{"id": 1}'  publish a notification
  $ pgwatch trigger add users          publish what happens to a table`,
    );
  const adders = [
    addListen,
    addNotify,
    addTrigger,
    addTypes,
    addSnapshot,
    addDlq,
    addSeek,
    addReplay,
    addWhy,
    addMigrate,
    addDev,
  ];
  for (const add of adders) add(program, outcome);
  return program;
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
