import type { ChannelSchemas } from '../consumers/channel-types.ts';
import type { Channels } from '../consumers/channels.ts';
import type { PgwatchOptions } from './options.ts';
import { Pgwatch } from './pgwatch.ts';
import type { PgwatchOn } from './pgwatch-on.ts';

/**
 * Makes pgwatch available inside a program. With channels, it knows the types of their payloads,
 * and checks them.
 * @throws PgwatchError config_invalid
 */
export function createPgwatch<Schemas extends ChannelSchemas>(
  options: PgwatchOptions & { channels: Channels<Schemas> },
): PgwatchOn<Schemas>;
export function createPgwatch(options?: PgwatchOptions): Pgwatch;
export function createPgwatch(options: PgwatchOptions = {}): Pgwatch {
  return new Pgwatch(options);
}
