import { type Command, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { PgwatchError } from '../../errors.ts';
import type { Stretch } from '../../log/by-hand/replay-stretch.ts';
import { idsFrom } from '../ids.ts';
import { parseMoment } from '../moment.ts';
import { addCommonOptions, type OptionsOf } from '../options.ts';

export type ReplayOptions = OptionsOf<typeof declareReplay>;

export function declareReplay(program: Command) {
  return addCommonOptions(program.command('replay'))
    .argument('<consumer>', 'id of the consumer')
    .option(
      '--since <time>',
      'created at or after an age (1h) or a time (local time unless it has a zone)',
      parseMoment,
    )
    .option('--until <time>', 'created before it (local time unless it has a zone)', parseMoment)
    .option('--channel <channel>', 'only of this channel')
    .option('--key <key>', 'only with this key')
    .option('--id <ids...>', 'only these')
    .addOption(
      new Option('--speed <speed>', '1x: the original pace; 10x: ten times that; max')
        .argParser(parseSpeed)
        .default(null, 'max'),
    )
    .option('--dry-run', 'only count them, and show the first few')
    .option('--no-wait', 'return at once and let the daemon continue')
    .option('--cancel', 'cancel replayed notifications that have not been attempted yet')
    .option('--json', 'print the result as JSON');
}

/**
 * Parses a multiple of the original pace; null means as fast as possible.
 * @throws InvalidArgumentError
 */
export function parseSpeed(text: string): number | null {
  if (text === 'max') return null;
  const speed = Number(/^(\d+(?:\.\d+)?)x?$/.exec(text)?.[1]);
  if (speed > 0 && speed <= SPEED_MAX) return speed;
  throw new InvalidArgumentError('Give a multiple like 1x or 10x, or max.');
}

/**
 * Returns the stretch that the options describe.
 * @throws PgwatchError usage if they do not limit it: "seek" repeats everything
 */
export function stretchFrom(consumerId: string, options: ReplayOptions): Stretch {
  const stretch: Stretch = {
    consumerId,
    since: options.since ?? null,
    until: options.until ?? null,
    channel: options.channel ?? null,
    key: options.key ?? null,
    ids: idsFrom(options.id ?? []),
  };
  const { since, until, channel, key, ids } = stretch;
  if (options.cancel) {
    if (since ?? until ?? channel ?? key ?? ids) {
      throw new PgwatchError(
        'usage',
        '--cancel cancels the whole replay ' +
          'and takes no --since, --until, --channel, --key or --id.',
      );
    }
    return stretch;
  }
  if (!(since ?? until ?? channel ?? key ?? ids)) {
    throw new PgwatchError(
      'usage',
      'Choose what to replay: --since, --until, --channel, --key or --id. ' +
        `To repeat everything, move the position: "pgwatch seek ${consumerId} --to start".`,
    );
  }
  if (since && until && since >= until) {
    throw new PgwatchError('usage', '--until must be later than --since.');
  }
  return stretch;
}

const SPEED_MAX = 1_000_000;
