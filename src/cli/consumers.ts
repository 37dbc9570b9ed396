import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import { PgwatchError } from '../errors.ts';
import { listConsumerIds } from '../log/deliveries/dead-letters.ts';
import { suggest } from '../suggest.ts';
import { withSchema, withSchemaToRead } from './connected.ts';
import type { CommonOptions } from './options.ts';

/**
 * Runs the work with a connection to a database that has our tables and these consumers.
 * @throws PgwatchError schema_missing and the like, consumer_unknown
 */
export function withConsumers<T>(
  options: CommonOptions,
  consumerIds: readonly string[],
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  return withSchema(options, (client, config) => among(client, config, consumerIds, work));
}

/**
 * The same for work that only reads, and that gives up where somebody else has locked a table.
 * @throws PgwatchError table_locked besides
 */
export function withConsumersToRead<T>(
  options: CommonOptions,
  consumerIds: readonly string[],
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  return withSchemaToRead(options, (client, config) => among(client, config, consumerIds, work));
}

async function among<T>(
  client: Client,
  config: Config,
  consumerIds: readonly string[],
  work: (client: Client, config: Config) => Promise<T>,
): Promise<T> {
  if (consumerIds.length > 0) {
    requireKnown(consumerIds, await listConsumerIds(client, config.schema));
  }
  return work(client, config);
}

function requireKnown(ids: readonly string[], known: readonly string[]): void {
  const unknown = ids.find((id) => !known.includes(id));
  if (unknown === undefined) return;
  const list =
    known.length > 0 ? `There are: ${known.join(', ')}.` : 'No consumer has ever run on it.';
  throw new PgwatchError(
    'consumer_unknown',
    `The database knows no consumer "${unknown}".${suggest(unknown, known)} ${list} One is known once "pgwatch listen" has run it.`,
  );
}
