import { PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import type { Consumer } from './define.ts';

/** Which consumers to run. Undefined: not restricted. */
export type Selection = {
  ids?: readonly string[] | undefined;
  excludedIds?: readonly string[] | undefined;
  apps?: readonly string[] | undefined;
};

/**
 * Picks the consumers that match all restrictions.
 * @throws PgwatchError consumer_unknown for an id or app that no consumer has
 */
export function selectConsumers(consumers: readonly Consumer[], selection: Selection): Consumer[] {
  const ids = consumers.map((consumer) => consumer.id);
  const apps = [...new Set(consumers.flatMap((consumer) => consumer.app ?? []))];
  requireKnown('consumer', [...(selection.ids ?? []), ...(selection.excludedIds ?? [])], ids);
  requireKnown('app', selection.apps ?? [], apps);
  return consumers.filter(
    ({ id, app }) =>
      (selection.ids?.includes(id) ?? true) &&
      !selection.excludedIds?.includes(id) &&
      (selection.apps?.includes(app ?? '') ?? true),
  );
}

function requireKnown(
  kind: 'consumer' | 'app',
  names: string[] | readonly string[],
  known: string[],
): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const list = known.length > 0 ? `There are: ${known.join(', ')}.` : `There are no ${kind}s.`;
  throw new PgwatchError(
    'consumer_unknown',
    `There is no ${kind} "${unknown}".${suggest(unknown, known)} ${list}`,
  );
}
