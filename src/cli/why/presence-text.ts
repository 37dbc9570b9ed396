import type { Presence } from '../../inspect/why/presence.ts';
import type { Writer } from '../../inspect/why/writers.ts';
import { describeAge } from '../describe.ts';
import { field, timeField } from '../detail.ts';
import { onOneLine } from '../table.ts';

/** Where a notification is, for people: lines behind its heading. */
export function describePresence(presence: Presence): string {
  if (presence.code === 'present') {
    const { channel, key, createdAt } = presence.entry;
    return [
      field('channel', channel),
      field('key', key ?? '-'),
      timeField('created', createdAt),
    ].join('\n');
  }
  return `  ${onOneLine(absenceText(presence))}${presence.code === 'uncommitted' ? `\n${writersText(presence.writers)}` : ''}`;
}

/** Why the log does not show it, in a sentence. */
export function absenceText(presence: Exclude<Presence, { code: 'present' }>): string {
  switch (presence.code) {
    case 'never_drawn':
      return `It was never published: the newest id is ${presence.lastId}.`;
    case 'removed':
      return presence.oldestId === null
        ? 'It was removed from the log, which is empty, or rolled back before that.'
        : `It was removed from the log, which begins at ${presence.oldestId}, or rolled back before that.`;
    case 'rolled_back':
      return 'It was rolled back: its id was drawn, and no transaction that could still commit it is open. Or it was removed since.';
    case 'uncommitted':
      return presence.writers.length === 1
        ? 'It has not committed: this transaction, which has written to the log, is still open.'
        : 'It has not committed: one of these transactions, which have written to the log, is still open.';
  }
}

/** Who it is, and how its transaction is ended. */
export function writerText(writer: Writer): { sentence: string; advice: string } {
  const { pid, gid, program, user, state, query, since } = writer;
  const by = user ? ` of ${user}` : '';
  const began = since ? ` since ${since.toISOString()} (${describeAge(since)})` : '';
  if (gid !== null) {
    const name = gid.replaceAll("'", "''");
    return {
      sentence: `prepared transaction '${gid}'${by}${began}`,
      advice: `commit prepared '${name}', or rollback prepared '${name}'`,
    };
  }
  const what = state === null ? 'not shown to this role (grant pg_read_all_stats)' : `${query}`;
  return {
    sentence: `pid ${pid}${program ? ` (${program})` : ''}${by}, ${state ?? 'open'}${began}: ${what}`,
    advice: `let it commit, or end it: select pg_terminate_backend(${pid})`,
  };
}

function writersText(writers: readonly Writer[]): string {
  return writers
    .flatMap((writer) => {
      const { sentence, advice } = writerText(writer);
      return [`    ${onOneLine(sentence)}`, `      → ${onOneLine(advice)}`];
    })
    .join('\n');
}
