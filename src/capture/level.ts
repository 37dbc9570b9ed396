import type { TriggerOptions } from '../config/triggers.ts';
import { PgwatchError } from '../errors.ts';
import type { Table } from './table.ts';
import { tableText } from './table-name.ts';

/** Whether triggers run for each statement or row, and the reason if it is for each row. */
export type CaptureLevel = { forEach: 'statement' | 'row'; reason: string | null };

/**
 * Chooses for each statement if that is possible and correct: for many rows it costs a third.
 * @throws PgwatchError table_unsuitable if the options require it but it is impossible
 */
export function chooseLevel(
  table: Table,
  { forEach = 'auto', when }: TriggerOptions,
): CaptureLevel {
  const impossible = whyImpossible(table, when);
  if (forEach === 'statement' && impossible) {
    throw new PgwatchError(
      'table_unsuitable',
      `${tableText(table)} cannot be captured for each statement: ${impossible}.` +
        ' Use forEach row or auto.',
    );
  }
  if (forEach === 'row') return { forEach, reason: 'as asked' };
  const reason = impossible ?? (forEach === 'auto' ? whyWrong(table) : null);
  return { forEach: reason === null ? 'statement' : 'row', reason };
}

function whyImpossible({ kind, isSubscribed }: Table, when: string | undefined): string | null {
  if (when !== undefined) return 'its condition applies to rows';
  if (kind === 'partitioned' || kind === 'partition') {
    return 'a statement can name a partition or the whole table';
  }
  if (kind === 'inherited') return 'a statement can name a child or its parent';
  return isSubscribed ? 'a subscription writes to it, which fires only row triggers' : null;
}

/** Why changes could be recorded in a different order than they were made. */
function whyWrong({ refersToItself, rowTriggers }: Table): string | null {
  if (rowTriggers.length > 0) {
    return `${rowTriggers.join(', ')} may change it within the statement`;
  }
  return refersToItself ? 'a foreign key may change it within the statement' : null;
}
