import type { Consumer, ConsumerDefinition } from '../consumers/define.ts';
import { isObject, shown, text } from '../kinds.ts';
import { abortSignal, checkedOptions, flag, inputInvalid } from './checked-options.ts';
import type { ListenOptions } from './listening.ts';

/** What listen() runs: consumers, or those in the files of a folder. */
export type GivenConsumers = readonly ConsumerDefinition[] | { folder: string };

/** @throws PgwatchError consumer_invalid, input_invalid */
export async function givenConsumers(given: GivenConsumers): Promise<readonly Consumer[]> {
  if (Array.isArray(given)) {
    const { definedConsumers } = await import('../consumers/defined.ts');
    return definedConsumers(given);
  }
  if (!isObject(given) || !('folder' in given)) {
    const expected = "a list of consumers, or { folder: 'consumers' }";
    throw inputInvalid(`listen() takes ${expected}, not ${shown(given)}`);
  }
  const { folder = '' } = checkedOptions('listen()', given, {
    folder: text('the path of a folder'),
  });
  const { discoverConsumers } = await import('../consumers/discover.ts');
  return discoverConsumers(folder);
}

/** @throws PgwatchError input_invalid */
export function listenOptions(given: ListenOptions): ListenOptions {
  return checkedOptions('listen()', given, {
    signal: abortSignal,
    skipPlayback: flag,
    once: flag,
  });
}
