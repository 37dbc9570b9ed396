import type { Command } from '@commander-js/extra-typings';
import { type ErrorCode, PgwatchError, toError } from '../../errors.ts';
import {
  addCommonOptions,
  configFor,
  type OptionsOf,
  reporterFor,
  warnUnverified,
} from '../options.ts';

/** pgwatch notify: publishes notifications from the shell. */
export function addNotify(program: Command): void {
  declareNotify(program)
    .description('Publish a notification and print its id.')
    .addHelpText(
      'after',
      `
With "-", each transaction holds up to ${LINES_PER_TRANSACTION} lines. An invalid line stops it:
what has been published by then are the ids that were printed.

Examples:
  $ pgwatch notify orders '{"id": 42, "total": 99.5}' --key order:42
  $ pgwatch notify reports
  $ jq -c '.[]' orders.json | pgwatch notify orders -`,
    )
    // publish() reports this with a hint: a shell splits JSON that is not quoted.
    .allowExcessArguments()
    .action(publish);
}

type NotifyOptions = OptionsOf<typeof declareNotify>;

function declareNotify(program: Command) {
  return addCommonOptions(program.command('notify'))
    .argument('<channel>', 'a name of 1 to 63 bytes')
    .argument('[json]', 'the payload; "-" reads one JSON value per line from stdin (default: {})')
    .option('--key <key>', 'what it is about: notifications with the same key stay in order')
    .option('--event-id <uuid>', 'your own id: publishing it a second time does nothing');
}

async function publish(
  channel: string,
  json: string | undefined,
  options: NotifyOptions,
  command: { args: readonly string[] },
): Promise<void> {
  if (command.args.length > 2) {
    throw new PgwatchError(
      'usage',
      `The payload must be one argument, but the shell passed ${command.args.length - 1}.` +
        QUOTE_HINT,
    );
  }
  const { withConnection } = await import('../../database/connect.ts');
  const { withOwnSettings } = await import('../../database/pooler.ts');
  const { requireUtf8 } = await import('../../database/encoding.ts');
  const { publishTexts } = await import('../../log/publish.ts');
  const { key = null, eventId = null } = options;
  if (json === '-' && eventId !== null) {
    throw new PgwatchError(
      'usage',
      '--event-id names one notification and cannot be combined with "-".',
    );
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
 * The lines of stdin, without the byte order mark that some programs write.
 * @throws PgwatchError payload_invalid if it is not UTF-8
 */
async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decoded = (chunk?: Buffer) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (cause) {
      const message =
        'The text on stdin is not UTF-8: convert it first, for example with ' +
        '"iconv -f latin1 -t utf-8".';
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
 * Checks that a text is JSON, and returns the text itself: it is stored as written, with all the
 * digits of its numbers.
 * @throws PgwatchError
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
