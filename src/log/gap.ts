import { parseJson } from '../json.ts';

/**
 * Notifications that were removed from the log, for example by "pgwatch cleanup --force", before a
 * consumer had handled them. The consumer never gets them.
 */
export type Gap = {
  /**
   * The lowest and the highest of their ids. The range may include notifications it had handled.
   */
  firstId: number;
  lastId: number;
  /** An upper bound of their number, in the consumer's channels. */
  count: number;
  /** When the first and the last of them were published. */
  from: Date;
  until: Date;
  removedAt: Date;
};

/** For people; begins where a sentence about whoever missed them goes on. */
export function gapText({ count, firstId, lastId, from, until, removedAt }: Gap): string {
  return (
    `it will never receive up to ${count} of its notifications` +
    ` (ids ${firstId} to ${lastId}, published from ${from.toISOString()} to` +
    ` ${until.toISOString()}): they were removed from the log at ${removedAt.toISOString()},` +
    ' before it had handled them. Define onGap to act on that.'
  );
}

/** Reads the payload of a gap marker; see the SQL function log_gap_tell. */
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
