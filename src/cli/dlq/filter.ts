import type { Command } from 'commander';
import { PgwatchError } from '../../errors.ts';
import type { DeliveryFilter } from '../../log/deliveries/filter.ts';
import { parseAge, splitList } from '../options.ts';

export type FilterOptions = {
  consumer?: string[];
  error?: string;
  olderThan?: number;
  newerThan?: number;
  channel?: string;
  key?: string;
};

/** Adds the options that choose among deliveries; what is given must all match. */
export function addFilterOptions(command: Command): Command {
  return command
    .option('--consumer <ids...>', 'only of these consumers')
    .option('--error <text>', 'only with this text in the last error, small letters or capitals')
    .option('--older-than <duration>', 'only if the last failure is longer ago: 2h, 7d', parseAge)
    .option('--newer-than <duration>', 'only if the last failure is not so long ago', parseAge)
    .option('--channel <channel>', 'only of this channel')
    .option('--key <key>', 'only of this key');
}

/**
 * The filter that the options describe.
 * @throws PgwatchError usage where a value is empty, as an unset variable of a shell is: it would
 *   match everything
 */
export function filterFrom(options: FilterOptions, ids: number[] | null = null): DeliveryFilter {
  const consumerIds = splitList(options.consumer) ?? null;
  if (consumerIds?.length === 0) throw emptyValue('--consumer', 'the id of a consumer');
  if (options.error === '') throw emptyValue('--error', 'a part of the error');
  return {
    ids,
    consumerIds,
    state: null,
    errorText: options.error ?? null,
    olderThanMs: options.olderThan ?? null,
    newerThanMs: options.newerThan ?? null,
    channel: options.channel ?? null,
    key: options.key ?? null,
  };
}

function emptyValue(option: string, what: string): PgwatchError {
  return new PgwatchError('usage', `${option} is empty: give ${what}, or leave it out.`);
}
