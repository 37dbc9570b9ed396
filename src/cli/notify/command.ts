import type { Command } from 'commander';
import { type ErrorCode, PgwatchError, toError } from '../../errors.ts';
import {
  addCommonOptions,
  type CommonOptions,
  configFor,
  reporterFor,
  warnUnverified,
} from '../options.ts';

type NotifyOptions = CommonOptions & { key?: string; eventId?: string };

/** pgwatch notify: publishes from the shell. */
export function addNotify(program: Command): void {
  addCommonOptions(program.command('notify'))
    .description('Publish a notification and print its id.')
    .argument('<channel>', 'a name of 1 to 63 bytes')
    .argument('[json]', 'the payload; "-" reads one JSON value a line from stdin (default: {})')
    .option('--key <key>', 'what it is about: notifications of one key keep their order')
    .option('--event-id <uuid>', 'an id of your own: publishing it a second time does nothing')
    .addHelpText(
      'after',
      `
With "-", up to ${LINES_PER_TRANSACTION} lines are one transaction. A faulty line stops it: the ids
that were printed are published, and nothing else.

Examples:
  $ pgwatch notify orders '{"id": 42, "total": 99.5}' --key order:42
  $ pgwatch notify reports
  $ jq -c '.[]' orders.json | pgwatch notify orders -`,
    )
    // Said in publish(), with what to do: a shell splits JSON that is not quoted.
    .allowExcessArguments()
    .action(publish);
}

async function publish(
  channel: string,
  json: string | undefined,
  options: NotifyOptions,
  command: Command,
): Promise<void> {
  if (command.args.length > 2) {
    throw new PgwatchError(
      'usage',
      `The payload is one argument, and the shell has made ${command.args.length - 1} of it.${QUOTE_HINT}`,
    );
  }
  const { withConnection } = await import('../../database/connect.ts');
  const { withOwnSettings } = await import('../../database/pooler.ts');
  const { requireUtf8 } = await import('../../database/encoding.ts');
  const { publishTexts } = await import('../../log/publish.ts');
  const { key = null, eventId = null } = options;
  if (json === '-' && eventId !== null) {
    throw new PgwatchError('usage', '--event-id names one notification: it does not go with "-".');
  }
  const config = await configFor(options);
  const payload =
    json === undefined
      ? '{}'
      : json === '-'
        ? null
        : checked(json, 'The payload', { fault: 'usage', hint: QUOTE_HINT });
  await warnUnverified(config, reporterFor(options));
  await withConnection(config, async (client) => {
    const run = await withOwnSettings(client);
    await run(() => requireUtf8(client));
    const send = async (texts: string[]) => {
      const notifications = texts.map((text) => ({ channel, json: text, key, eventId }));
      const ids = await run(() => publishTexts(client, notifications, config.apiSchema));
      process.stdout.write(ids.map((id) => `${id}\n`).join(''));
    };
    await (payload === null ? sendLines(send) : send([payload]));
  });
}

async function sendLines(send: (texts: string[]) => Promise<void>): Promise<void> {
  let [texts, size, lineNumber]: [string[], number, number] = [[], 0, 0];
  for await (const line of linesOf(process.stdin)) {
    lineNumber += 1;
    if (line.trim() === '') continue;
    texts.push(checked(line, `Line ${lineNumber} of stdin`));
    size += line.length;
    if (texts.length === LINES_PER_TRANSACTION || size > CHARACTERS_PER_TRANSACTION) {
      await send(texts);
      [texts, size] = [[], 0];
    }
  }
  await send(texts);
}

/**
 * The lines of stdin, without the mark that some programs begin files with.
 * @throws PgwatchError payload_invalid where it is not UTF-8
 */
async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decoded = (chunk?: Buffer) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (cause) {
      const message =
        'What stdin says is not UTF-8: convert it first, as with "iconv -f latin1 -t utf-8".';
      throw new PgwatchError('payload_invalid', message, { cause });
    }
  };
  let line = '';
  for await (const chunk of input) {
    const [end = '', ...lines] = decoded(chunk).split(/\r?\n/);
    line += end;
    for (const next of lines) {
      yield line;
      line = next;
    }
  }
  yield line + decoded();
}

/**
 * The text itself, known to be JSON: it is stored as it was written, with all the digits of its
 * numbers.
 */
function checked(
  text: string,
  what: string,
  { fault = 'payload_invalid', hint = '' }: { fault?: ErrorCode; hint?: string } = {},
): string {
  try {
    JSON.parse(text);
    return text;
  } catch (thrown) {
    const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
    throw new PgwatchError(
      fault,
      `${what} is not JSON: ${shown} (${toError(thrown).message}).${hint}`,
      { cause: thrown },
    );
  }
}

const QUOTE_HINT = ` In a shell, quote it: '{"id": 1}'.`;
const LINES_PER_TRANSACTION = 1000;
const CHARACTERS_PER_TRANSACTION = 8_000_000;
