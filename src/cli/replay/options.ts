import { InvalidArgumentError } from 'commander';
import { PgwatchError } from '../../errors.ts';
import type { Stretch } from '../../log/by-hand/replay-stretch.ts';
import { idsFrom } from '../ids.ts';
import type { CommonOptions } from '../options.ts';

export type ReplayOptions = CommonOptions & {
  since?: Date;
  until?: Date;
  channel?: string;
  key?: string;
  id?: string[];
  /** Null: as fast as can be. */
  speed: number | null;
  dryRun?: boolean;
  wait: boolean;
  cancel?: boolean;
  json?: boolean;
};

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
