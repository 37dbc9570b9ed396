import type { AnyChannels } from '../consumers/channels.ts';
import type { PgwatchOptions } from './options.ts';
import { Pgwatch } from './pgwatch.ts';
import type { PgwatchOn } from './pgwatch-on.ts';

/**
 * Makes pgwatch available inside a program. With channels, it knows the types of their payloads,
 * and checks them.
 * @throws PgwatchError config_invalid
 */
export function createPgwatch<Given extends AnyChannels>(
  options: PgwatchOptions & { channels: Given },
): PgwatchOn<Given>;
export function createPgwatch(options?: PgwatchOptions): Pgwatch;
export function createPgwatch(options: PgwatchOptions = {}): Pgwatch {
  return new Pgwatch(options);
}
