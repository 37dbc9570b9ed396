import type { ClientBase } from 'pg';
import { withTransaction } from '../../database/transaction.ts';
import type { Gap } from '../../log/gap.ts';
import type { Page, PageRequest, ReadPage } from '../../log/page.ts';
import { beginningAt, type From, readPosition } from '../../log/positions/beginning.ts';
import type { Position } from '../../log/positions/position.ts';
import { type LogBounds, readBounds } from '../../log/reading.ts';

/**
 * Where to begin: the position from which a notification is the next one, and the id up to which
 * nothing is missing. What was removed from the log before is not, unless its id was asked for.
 */
export async function beginAt(
  client: ClientBase,
  schema: string,
  from: From,
): Promise<{ position: Position; completeId: number }> {
  const position = await readPosition(client, beginningAt(schema, from, '$1'));
  const { oldest, lastId } = await readBounds(client, schema);
  const goneId = oldest ? oldest.id - 1 : lastId;
  const askedId = typeof from === 'number' ? from - 1 : goneId;
  return { position, completeId: Math.max(position.doneId, Math.min(goneId, askedId)) };
}

/**
 * Reads a page, and in the same snapshot how far back the log goes: between two snapshots, cleanup
 * could remove what neither of them shows to be missing.
 * @returns the page, and what may have been removed before it
 */
export async function readChecked(
  client: ClientBase,
  request: PageRequest,
  { schema, readPage, reached }: { schema: string; readPage: ReadPage; reached: Reached },
): Promise<{ page: Page; gap: Gap | null }> {
  if (!mayLack(reached)) return { page: await readPage(client, request), gap: null };
  const work = async () => {
    const page = await readPage(client, request);
    return { page, gap: gapAfter(reached, await readBounds(client, schema)) };
  };
  return withTransaction(client, work, 'begin isolation level repeatable read read only');
}

/** Up to which id everything was received, or told as a gap; and when that was known. */
export type Reached = { completeId: number; at: Date };

/**
 * What was removed from the log after that. It is not known what it was: other notifications count,
 * too, and ids that were never used.
 */
export function gapAfter(
  { completeId, at }: Reached,
  { oldest, lastId: last }: LogBounds,
): Gap | null {
  const firstId = completeId + 1;
  const lastId = oldest ? oldest.id - 1 : last;
  if (lastId < firstId) return null;
  const removedAt = new Date();
  const until = oldest?.createdAt ?? removedAt;
  return { firstId, lastId, count: lastId - firstId + 1, from: at, until, removedAt };
}

/**
 * Whether something may have been removed since then: cleanup leaves what is young. A clock that
 * was set back does not tell.
 */
export function mayLack({ at }: Reached): boolean {
  return Math.abs(Date.now() - at.getTime()) > YOUNG_MS;
}

const YOUNG_MS = 60_000;
