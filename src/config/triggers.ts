import { type ErrorCode, PgwatchError } from '../errors.ts';
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
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name as keyof TriggerOptions] : undefined;
    if (!check) {
      const known = Object.keys(CHECKS);
      throw new PgwatchError(
        fault,
        `${nameOf(name)} is not a trigger option.${suggest(name, known)}` +
          ` Options are: ${known.join(', ')}.`,
      );
    }
    if (!check.isValid(value)) {
      throw new PgwatchError(
        fault,
        `${nameOf(name)} must be ${check.expected}, not ${JSON.stringify(value)}.`,
      );
    }
  }
  return options;
}

type Check = { isValid(value: unknown): boolean; expected: string };

const isName = (value: unknown) =>
  typeof value === 'string' && value !== '' && !value.includes('\0') && value.isWellFormed();

function listOf(isItem: (value: unknown) => boolean, expected: string): Check {
  const isValid = (value: unknown) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(isItem) &&
    new Set(value).size === value.length;
  return { isValid, expected: `a list of ${expected}, without duplicates` };
}

function oneOf(...allowed: string[]): Check {
  return {
    isValid: (value) => allowed.includes(value as string),
    expected: allowed
      .map((each) => `'${each}'`)
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1'),
  };
}

const CHECKS: Record<keyof TriggerOptions, Check> = {
  channel: {
    isValid: (value) => isName(value) && Buffer.byteLength(value as string) <= 63,
    expected: 'a name of 1 to 63 bytes',
  },
  operations: listOf((value) => OPERATIONS.includes(value as Operation), OPERATIONS.join(', ')),
  columns: listOf(isName, 'columns'),
  exclude: listOf(isName, 'columns'),
  payload: oneOf('full', 'keys', 'changed'),
  when: { isValid: isName, expected: 'a condition in SQL' },
  key: listOf(isName, 'columns'),
  forEach: oneOf('auto', 'statement', 'row'),
  notify: oneOf('always', 'doorbell', 'off'),
};
