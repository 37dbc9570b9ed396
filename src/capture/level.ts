import type { TriggerOptions } from '../config/triggers.ts';
import { PgwatchError } from '../errors.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';

/** For each statement or row, and why where it is not for each statement. */
export type CaptureLevel = { forEach: 'statement' | 'row'; reason: string | null };

/**
 * For each statement wherever that is possible and right, because it costs a third for many rows.
 * @throws PgwatchError table_unsuitable where that was asked for and is impossible
 */
export function chooseLevel(
  table: Table,
  { forEach = 'auto', when }: TriggerOptions,
): CaptureLevel {
  const impossible = whyImpossible(table, when);
  if (forEach === 'statement' && impossible) {
    throw new PgwatchError(
      'table_unsuitable',
      `${tableText(table)} cannot be captured for each statement: ${impossible}. Use forEach row or auto.`,
    );
  }
  if (forEach === 'row') return { forEach, reason: 'as asked' };
  const reason = impossible ?? (forEach === 'auto' ? whyWrong(table) : null);
  return { forEach: reason === null ? 'statement' : 'row', reason };
}

function whyImpossible({ kind, isSubscribed }: Table, when: string | undefined): string | null {
  if (when !== undefined) return 'its condition is one for rows';
  if (kind === 'partitioned' || kind === 'partition') {
    return 'a statement can name a partition or the whole table';
  }
  if (kind === 'inherited') return 'a statement can name a child or its parent';
  return isSubscribed ? 'a subscription writes to it, which knows rows only' : null;
}

/** Where changes could be recorded in another order than they were made in. */
function whyWrong({ refersToItself, rowTriggers }: Table): string | null {
  if (rowTriggers.length > 0) {
    return `${rowTriggers.join(', ')} may change it within the statement`;
  }
  return refersToItself ? 'a foreign key may change it within the statement' : null;
}
