import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { readKnown } from '../../log/positions/known.ts';
import { keepConnected } from '../keep-connected.ts';
import { reporterFor } from '../options.ts';
import { interruptSignal } from '../stop-signal.ts';
import { followingText, hintsOf, nothingText } from './hints.ts';
import { fullText, jsonLine, lineFormat } from './line.ts';
import type { TailOptions } from './options.ts';
import { requestOf, type TailRequest } from './request.ts';
import { type Output, View } from './view.ts';
import { Where } from './where.ts';

/**
 * Shows the notifications that the options select, until the end or a signal.
 * @throws PgwatchError usage, schema_missing and the like
 */
export async function tail(channels: readonly string[], options: TailOptions): Promise<void> {
  const isTerminal = process.stdout.isTTY === true;
  const request = requestOf(channels, options, isTerminal);
  const isJson = options.json ?? (!isTerminal && !options.full);
  if (isJson && options.full) {
    throw new PgwatchError(
      'usage',
      '--full cannot be combined with --json, which always prints everything.',
    );
  }
  const view = new View(request, {
    format: isJson ? jsonLine : options.full ? fullText : lineFormat(),
    where: options.where === undefined ? null : new Where(options.where),
    reporter: reporterFor(options),
    signal: interruptSignal(),
  });
  const { reporter, signal } = view.output;
  const mode = request.isFollowing ? 'follow' : 'once';
  let hasBegun = false;
  const connecting = {
    options,
    access: { mode: 'read' } as const,
    mode,
    signal,
    onLost(error: Error, attempt: number) {
      const isLocked = error instanceof PgwatchError && error.code === 'table_locked';
      if (isLocked) reporter.warn(`${error.message} Trying again until Ctrl-C.`);
      else if (attempt === 0) {
        reporter.warn('The connection was lost; trying again until Ctrl-C.');
      }
    },
    onAgain: () => reporter.info('Connected again.'),
  } as const;
  await keepConnected(connecting, async (client, config) => {
    if (!hasBegun) {
      hasBegun = true;
      await introduce(client, config, request, view.output);
    }
    await view.run(client, config);
  });
  if (mode === 'once' && view.hasShownNothing && !signal.aborted) {
    reporter.info(nothingText(request, options.from !== undefined));
  }
}

/**
 * Warns of names that do not seem to exist. On a terminal it also prints what it follows, because
 * nothing else may appear for a long time.
 */
async function introduce(
  client: Client,
  { schema }: Config,
  request: TailRequest,
  { reporter }: Output,
): Promise<void> {
  const { filter, isFollowing } = request;
  if (filter.channels || filter.tables) {
    const hints = hintsOf(filter, await readKnown(client, schema));
    for (const hint of hints) reporter.info(hint);
  }
  if (isFollowing && process.stdout.isTTY) reporter.info(followingText(request));
}
