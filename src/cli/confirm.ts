import { PgwatchError } from '../errors.ts';
import type { Reporter } from '../reporter.ts';
import type { CommandResult } from './options.ts';

type Terminal = {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream;
};

/**
 * Asks whether something is to be removed. Without a yes the command has failed, and says so: a script must not
 * take it for done.
 * @throws PgwatchError usage where nobody is there to answer
 */
export async function confirmRemoval(
  asked: { question: string; flag: string },
  { outcome, reporter }: { outcome: CommandResult; reporter: Reporter },
  terminal?: Terminal,
): Promise<boolean> {
  if (await confirm(asked.question, asked.flag, terminal)) return true;
  outcome.exitCode = 1;
  reporter.info('Nothing was removed.');
  return false;
}

/**
 * Asks for a yes on the terminal.
 * @throws PgwatchError usage where nobody is there to answer
 */
async function confirm(
  question: string,
  flag: string,
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (!terminal.input.isTTY) {
    throw new PgwatchError(
      'usage',
      `${question} Nobody is there to answer: pass ${flag} to go ahead.`,
    );
  }
  const { createInterface } = await import('node:readline/promises');
  const asked = createInterface(terminal);
  try {
    // Ctrl-D closes it without an answer.
    const closed = new Promise<string>((resolve) => asked.once('close', () => resolve('')));
    const answer = await Promise.race([asked.question(`${question} [y/N] `), closed]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asked.close();
  }
}
