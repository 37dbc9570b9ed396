import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { suggest } from '../suggest.ts';

/**
 * Refuses help for an unknown command: commander would print the help of its parent, and succeed.
 * @throws CommanderError
 */
export function requireKnownCommand(program: CommandUnknownOpts, args: readonly string[]): void {
  if (!args.some((arg) => arg === 'help' || arg === '--help' || arg === '-h')) return;
  const names = args.slice(0, wordCount(args)).filter((arg) => arg !== 'help');
  let command: CommandUnknownOpts = program;
  for (const name of names) {
    // The other words are its arguments.
    if (command.commands.length === 0) return;
    const next = command.commands.find((each) => each.name() === name || each.alias() === name);
    if (!next) {
      const known = command.commands.map((each) => each.name());
      command.error(`error: unknown command '${name}'.${suggest(name, known)}`);
    }
    command = next;
  }
}

/** How many words come before the first option. */
function wordCount(args: readonly string[]): number {
  const index = args.findIndex((arg) => arg.startsWith('-'));
  return index < 0 ? args.length : index;
}
