import { PgwatchError } from '../errors.ts';
import type { Reporter } from '../reporter.ts';
import type { CommandResult } from './options.ts';

type Terminal = {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream;
};

/**
 * Asks on the terminal whether to proceed, unless --yes is given. If the answer is no, the command
 * fails: a script must not conclude that it has succeeded.
 * @throws PgwatchError usage if stdin is not a terminal
 */
export async function confirm(
  question: string,
  options: { yes?: boolean },
  { outcome, reporter }: { outcome: CommandResult; reporter: Reporter },
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (options.yes || (await ask(question, terminal))) return true;
  outcome.exitCode = 1;
  reporter.info('Nothing was changed.');
  return false;
}

async function ask(question: string, terminal: Terminal): Promise<boolean> {
  if (!terminal.input.isTTY) {
    throw new PgwatchError(
      'usage',
      `${question} This is not a terminal, so it cannot ask: pass --yes to proceed.`,
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
