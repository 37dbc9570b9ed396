import { pageReader, type ReadPage } from '../../../src/log/page.ts';
import type { Position } from '../../../src/log/position.ts';
import { readNewestPosition } from '../../../src/log/progress.ts';
import { subscribeTransitions } from '../../../src/transitions.ts';
import { WRONG_READERS } from '../../racing/wrong-readers.ts';

/** A reader with a fault, by its name: one of the race's, or the one below. */
export function makeWrongReader(name: string): ReadPage {
  const reader = name === NO_CATCH_UP ? noCatchUp() : WRONG_READERS[name];
  if (!reader) throw new Error(`There is no wrong reader "${name}".`);
  return reader;
}

export const NO_CATCH_UP = 'goes on at the newest end after a reconnect';

/** What plain LISTEN clients do: what was published while the connection was away is skipped. */
function noCatchUp(): ReadPage {
  const right = pageReader('pgwatch');
  let hasReconnected = false;
  let newest: Position | undefined;
  subscribeTransitions(({ type }) => {
    if (type === 'disconnected') hasReconnected = true;
  });
  return async (client, request) => {
    if (hasReconnected) newest = await readNewestPosition(client, 'pgwatch');
    hasReconnected = false;
    const isBehind = newest !== undefined && request.position.doneId < newest.doneId;
    return right(client, isBehind ? { ...request, position: newest as Position } : request);
  };
}
