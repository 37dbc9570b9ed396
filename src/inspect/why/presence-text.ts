import { field, onOneLine, timeField } from '../../lines.ts';
import { ageText } from '../../words.ts';
import type { Presence } from './presence.ts';
import type { Writer } from './writers.ts';

/** Where a notification is, for people: lines that follow its heading. */
export function describePresence(presence: Presence): string {
  if (presence.code === 'present') {
    const { channel, key, createdAt } = presence.entry;
    return [
      field('channel', channel),
      field('key', key ?? '-'),
      timeField('created', createdAt),
    ].join('\n');
  }
  const text = `  ${onOneLine(absenceText(presence))}`;
  if (presence.code !== 'unseen') return text;
  const writers = presence.writers.map((writer) => `    ${onOneLine(writerText(writer))}`);
  return [text, ...writers, `    → ${absenceAdvice(presence)}`].join('\n');
}

/** Why the log does not show it, in one sentence. */
export function absenceText(presence: Exclude<Presence, { code: 'present' }>): string {
  switch (presence.code) {
    case 'never_drawn':
      return `It was never published: the newest id is ${presence.lastId}.`;
    case 'removed':
      return removedText(presence);
    case 'rolled_back':
      return (
        'It was rolled back, or has been removed from the log: ' +
        'its id was used, and no open transaction can hold it.'
      );
    case 'unseen':
      return presence.writers.length === 1
        ? 'It is not visible: it was rolled back, or belongs to this open transaction, ' +
            'which has written to the log:'
        : 'It is not visible: it was rolled back, or belongs to one of these open transactions, ' +
            'which have written to the log:';
  }
}

/** What to do if only the end of open transactions can tell where it is. */
export function absenceAdvice(presence: Presence): string | null {
  if (presence.code !== 'unseen') return null;
  return (
    'check what they are doing, and run this again once they have ended: ' +
    'then it is there, or was rolled back'
  );
}

/** A transaction that may hold it, for people. */
export function writerText({ pid, gid, program, user, state, query, since }: Writer): string {
  const by = user ? ` of ${user}` : '';
  const began = since ? ` since ${since.toISOString()} (${ageText(since)})` : '';
  if (gid !== null) return `prepared transaction '${gid}'${by}${began}`;
  const what = state === null ? 'not shown to this role (grant pg_read_all_stats)' : `${query}`;
  return `pid ${pid}${program ? ` (${program})` : ''}${by}, ${state ?? 'open'}${began}: ${what}`;
}

function removedText({ oldestId, gap }: Extract<Presence, { code: 'removed' }>): string {
  if (gap) {
    const { removedAt, firstId, lastId } = gap;
    return (
      'It was removed from the log, or rolled back before that: ' +
      `a forced cleanup removed unhandled notifications between ${firstId} and ${lastId}, ` +
      `at ${removedAt.toISOString()} (${ageText(removedAt)}).`
    );
  }
  return oldestId === null
    ? 'It was removed from the log, which is empty, or rolled back before that.'
    : `It was removed from the log, which begins at ${oldestId}, or rolled back before that.`;
}
