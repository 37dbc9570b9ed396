import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings';

/** What may follow a command on the command line. */
export type CompletionLevel = {
  /** The commands that lead here: '', 'trigger', 'trigger add'. */
  path: string;
  words: Word[];
  options: Flag[];
};

/** A command, or a value that an argument may have. */
export type Word = { text: string; description: string };

export type Flag = {
  /** '--json'. */
  long: string;
  /** '-h', or null. */
  short: string | null;
  description: string;
  /** What follows it: nothing, one of a set, the name of a file or folder, or any text. */
  value: null | readonly string[] | 'file' | 'text';
};

/** Reads the commands of a program, each with what may follow it. */
export function levelsOf(program: CommandUnknownOpts): CompletionLevel[] {
  return levelsBelow(program, []);
}

function levelsBelow(command: CommandUnknownOpts, path: readonly string[]): CompletionLevel[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((each) => each.name() !== 'help');
  const choices = command.registeredArguments.flatMap((argument) =>
    (argument.argChoices ?? []).map((text) => ({ text, description: argument.description })),
  );
  const words = commands.map((each) => ({ text: each.name(), description: each.description() }));
  return [
    {
      path: path.join(' '),
      words: [...words, ...choices],
      options: help.visibleOptions(command).map(flagOf),
    },
    ...commands.flatMap((each) => levelsBelow(each, [...path, each.name()])),
  ];
}

function flagOf(option: Option): Flag {
  const { long, short, description, flags, argChoices } = option;
  const takesValue = option.required || option.optional;
  const isFile = /<(file|folder)>/.test(flags);
  const value = argChoices ?? (isFile ? 'file' : 'text');
  return {
    long: long ?? short ?? '',
    short: (long && short) ?? null,
    description,
    value: takesValue ? value : null,
  };
}
