import { pageReader, type ReadPage } from '../../../src/log/page.ts';
import { readNewestPosition } from '../../../src/log/positions/beginning.ts';
import type { Position } from '../../../src/log/positions/position.ts';
import { subscribeTransitions } from '../../../src/transitions.ts';
import { textReader, WRONG_READERS } from '../../racing/wrong-readers.ts';

/** Makes a faulty reader by its name: one of the race's, or one of those below. */
export function makeWrongReader(name: string): ReadPage {
  const reader = OWN[name]?.() ?? WRONG_READERS[name];
  if (!reader) throw new Error(`There is no wrong reader "${name}".`);
  return reader;
}

export const NO_CATCH_UP = 'continues at the newest id after a reconnect';
export const SETTINGS_AS_THEY_COME =
  'reads ids as floating-point numbers, in the format of the session';

export const PASSES_OVER_OLD = 'skips rows older than those it has read';

const OWN: Record<string, () => ReadPage> = {
  [NO_CATCH_UP]: noCatchUp,
  [SETTINGS_AS_THEY_COME]: settingsAsTheyCome,
  [PASSES_OVER_OLD]: passesOverOld,
  // Right only as long as a server is young.
  'xids are read as 32 bits': () =>
    textReader([
      'select pg_snapshot_xip($1::pg_snapshot)',
      `select (xid::text::bigint & ${2 ** 32 - 1})::text::xid8
         from pg_snapshot_xip($1::pg_snapshot) as xid`,
    ]),
};

/** A rounded id belongs to another notification. */
function settingsAsTheyCome(): ReadPage {
  const read = textReader(['select sized.id, ', 'select sized.id::float8, ']);
  return async (client, request) => {
    await client.query('set extra_float_digits to default');
    return read(client, request);
  };
}

/** Like plain LISTEN clients: it skips what was published while disconnected. */
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

/** Right only as long as the server's clock is never set back. */
function passesOverOld(): ReadPage {
  const right = pageReader('pgwatch');
  let newestMicros = 0;
  return async (client, request) => {
    const page = await right(client, request);
    const rows = page.rows.filter((row) => Number(row[2]) > newestMicros - SLACK_MICROS);
    newestMicros = Math.max(newestMicros, ...rows.map((row) => Number(row[2])));
    return { ...page, rows };
  };
}

/** Far more than between two consecutive ids. */
const SLACK_MICROS = 30_000_000;
