import { type ErrorCode, PgwatchError } from '../errors.ts';
import { type Kind, listOf, name, oneOf, shown, text } from '../kinds.ts';
import { suggest } from '../suggest.ts';

/** The operations that change rows. */
export type Operation = 'insert' | 'update' | 'delete' | 'truncate';

/** How the changes of a table are captured. Everything is optional. */
export type TriggerOptions = {
  /** The channel of its notifications, 1 to 63 bytes. Default 'data_change'. */
  channel?: string;
  /** Default: all four. */
  operations?: readonly Operation[];
  /**
   * An UPDATE is captured only if it changes one of these columns or the primary key. Default: any.
   */
  columns?: readonly string[];
  /** Columns that are never in a payload, such as passwords. Default none. */
  exclude?: readonly string[];
  /**
   * What payloads contain. 'full' (default): the whole row. 'keys': only the columns of the primary
   * key and of `key`. 'changed': for an UPDATE, those and the changed columns; otherwise the whole
   * row.
   */
  payload?: 'full' | 'keys' | 'changed';
  /** An SQL condition on the rows old and new: only changes for which it is true are captured. */
  when?: string;
  /**
   * The columns that form the key of a notification: notifications with the same key keep their
   * order. Default: the primary key.
   */
  key?: readonly string[];
  /**
   * Whether a trigger runs for each row, or once for each statement, which is cheaper for many
   * rows. 'auto' (default): for each statement if that captures the table correctly.
   */
  forEach?: 'auto' | 'statement' | 'row';
  /**
   * Whether writers NOTIFY. 'doorbell': only if a daemon sleeps; 'always': with the payload, for
   * plain LISTEN clients; 'off': never. Default: the setting pgwatch.notify, else 'doorbell'.
   */
  notify?: 'always' | 'doorbell' | 'off';
};

export const OPERATIONS: readonly Operation[] = ['insert', 'update', 'delete', 'truncate'];

/**
 * Checks the options of one table's capture.
 * @param nameOf the name of an option in its source, for messages
 * @param fault the code of the error
 * @throws PgwatchError with the option and what it must be
 */
export function checkTriggerOptions(
  options: Readonly<Record<string, unknown>>,
  nameOf: (option: string) => string,
  fault: ErrorCode,
): TriggerOptions {
  for (const [option, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const kind = Object.hasOwn(KINDS, option) ? KINDS[option as keyof TriggerOptions] : undefined;
    if (!kind) {
      const known = Object.keys(KINDS);
      throw new PgwatchError(
        fault,
        `${nameOf(option)} is not a trigger option.${suggest(option, known)}` +
          ` Options are: ${known.join(', ')}.`,
      );
    }
    if (kind.parse(value) === undefined) {
      const sentence = `${nameOf(option)} must be ${kind.expected}, not ${shown(value)}.`;
      throw new PgwatchError(fault, sentence);
    }
  }
  return options;
}

const columns = listOf(text('a column'), 'columns');

const KINDS: Record<keyof TriggerOptions, Kind<unknown>> = {
  channel: name,
  operations: listOf(oneOf(...OPERATIONS), OPERATIONS.join(', ')),
  columns,
  exclude: columns,
  payload: oneOf('full', 'keys', 'changed'),
  when: text('a condition in SQL'),
  key: columns,
  forEach: oneOf('auto', 'statement', 'row'),
  notify: oneOf('always', 'doorbell', 'off'),
};
