import { PgwatchError } from '../../errors.ts';
import type { DeliveryFilter } from '../../log/deliveries/filter.ts';
import { splitList } from '../options.ts';
import type { FilterOptions } from './options.ts';

/**
 * Returns the filter that the options describe.
 * @throws PgwatchError usage if a value is empty, as from an unset shell variable: it would match
 *   everything
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
