import { PgwatchError, toError } from '../errors.ts';
import { isObject, shown } from '../kinds.ts';
import { checkDefinition } from './check.ts';
import type { Consumer } from './define.ts';

/**
 * Checks the consumers that a program defines, and adds the defaults.
 * @throws PgwatchError consumer_invalid
 */
export function definedConsumers(definitions: readonly unknown[]): Consumer[] {
  const consumers = definitions.map(checked);
  const ids = consumers.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice === undefined) return consumers;
  throw new PgwatchError(
    'consumer_invalid',
    `Two consumers have the id "${twice}": each consumer needs its own.`,
  );
}

function checked(definition: unknown, index: number): Consumer {
  const invalid = (name: string, reason: string) =>
    new PgwatchError('consumer_invalid', `${name}: ${reason}.`);
  if (!isObject(definition)) {
    const what = `consumer ${index + 1} is ${shown(definition)}`;
    throw invalid('Consumers', `${what}, not what defineConsumer({ … }) returns`);
  }
  const { id } = definition as { id?: unknown };
  if (id === undefined) {
    throw invalid(`Consumer ${index + 1}`, 'it has no id, which names its position');
  }
  try {
    return checkDefinition(definition);
  } catch (thrown) {
    throw invalid(`Consumer ${shown(id)}`, toError(thrown).message);
  }
}
