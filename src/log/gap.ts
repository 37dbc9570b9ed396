import { parseJson } from '../json.ts';

/**
 * Notifications that a consumer had not done when they were removed from the log, as by "pgwatch
 * cleanup --force". It never gets them.
 */
export type Gap = {
  /** The lowest and the highest of their ids. Between these are others that it had done. */
  firstId: number;
  lastId: number;
  /** How many there were of its channels, at most. */
  count: number;
  /** When the first and the last of them were published. */
  from: Date;
  until: Date;
  removedAt: Date;
};

/** What a marker in the log says: see the SQL function log_gap_tell. */
export function gapOf(payload: string | null): Gap {
  const { first_id, last_id, count, from, until, removed_at } = parseJson(payload ?? '{}') as {
    [name: string]: string | number;
  };
  return {
    firstId: Number(first_id),
    lastId: Number(last_id),
    count: Number(count),
    from: new Date(from as string),
    until: new Date(until as string),
    removedAt: new Date(removed_at as string),
  };
}
