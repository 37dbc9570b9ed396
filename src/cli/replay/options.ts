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
 * How many times as fast as it was written; null: as fast as can be.
 * @throws InvalidArgumentError
 */
export function parseSpeed(text: string): number | null {
  if (text === 'max') return null;
  const speed = Number(/^(\d+(?:\.\d+)?)x?$/.exec(text)?.[1]);
  if (speed > 0 && speed <= SPEED_MAX) return speed;
  throw new InvalidArgumentError('Give 1x, 10x and the like, or max.');
}

/**
 * The stretch that the options describe.
 * @throws PgwatchError usage where they describe none: everything is what "seek" is for
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
        '--cancel takes back all that stands: give no stretch with it.',
      );
    }
    return stretch;
  }
  if (!(since ?? until ?? channel ?? key ?? ids)) {
    throw new PgwatchError(
      'usage',
      `Say what is to be replayed: --since, --until, --channel, --key or --id. For everything move the position: "pgwatch seek ${consumerId} --to start".`,
    );
  }
  if (since && until && since >= until) {
    throw new PgwatchError('usage', '--until lies before --since: nothing can be in between.');
  }
  return stretch;
}

const SPEED_MAX = 1_000_000;
