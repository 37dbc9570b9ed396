import type { ClientBase } from 'pg';
import type { Config } from '../../config/define.ts';
import { PgwatchError } from '../../errors.ts';
import { isObject, shown, wholeNumber } from '../../kinds.ts';
import { checkedOptions, id, time } from '../checked-options.ts';
import { findRow, type HistoryEntry, readRowAt, readVersions, writeUndo } from './history.ts';
import type { RowAtReport } from './history-at.ts';

/** The primary key of a row: a value, or the values by column if it has several. */
export type RowId = string | number | bigint | Readonly<Record<string, unknown>>;

export type HistoryOptions = {
  /** Only from then on; reads only that part of the log. */
  since?: Date;
  /** Only up to then. */
  until?: Date;
  /** The newest so many versions. Default 100. */
  limit?: number;
};

type Found = HistoryEntry[] | RowAtReport | { notificationId: number; sql: string };

/**
 * What reads a history.
 * @throws PgwatchError input_invalid
 */
export function readHistory(
  table: string,
  rowId: RowId,
  options: HistoryOptions & { at?: Date; undo?: number },
): (client: ClientBase, config: Config) => Promise<Found> {
  const kinds = { since: time, until: time, at: time, limit: wholeNumber(1), undo: id };
  const { at, undo, ...checked } = checkedOptions('history()', options, kinds);
  const { since = null, until = null, limit: most = LIMIT_DEFAULT } = checked;
  if (at && undo !== undefined) throw invalid('history() takes at or undo, but not both');
  if (until && (at ?? undo)) throw invalid('history() takes until only without at and undo');
  if (typeof table !== 'string') throw invalid(`A table is a name, not ${shown(table)}`);
  const text = textOf(rowId);
  return async (client, config) => {
    const row = await findRow(client, config, { table, id: text });
    if (at) return readRowAt(row, at, since);
    if (undo !== undefined) return writeUndo(row, undo, since);
    const { entries } = await readVersions(row, { since, until, limit: most });
    return entries;
  };
}

function textOf(id: RowId): string {
  if (isObject(id)) return JSON.stringify(id);
  if (['string', 'number', 'bigint'].includes(typeof id)) return String(id);
  throw invalid(`The id of a row is a text, a number or an object of columns, not ${shown(id)}`);
}

function invalid(reason: string): PgwatchError {
  return new PgwatchError('input_invalid', `${reason}.`);
}

const LIMIT_DEFAULT = 100;
