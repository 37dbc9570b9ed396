import { type ErrorCode, PgwatchError } from '../errors.ts';
import { suggest } from '../suggest.ts';
import { parseDurationMs, TIMER_MS_MAX } from '../time.ts';
import type { Config } from './define.ts';
import { checkTriggerOptions } from './triggers.ts';

/** Options from one place: the config file, the environment or the command line. */
export type OptionSource = {
  /** Keyed by their names in a config file. */
  options: Record<string, unknown>;
  /** The name of an option in that place, for messages. */
  nameOf(name: string): string;
  /** The code of errors in these options. Default config_invalid. */
  fault?: ErrorCode;
};

const CONNECTION_STRING =
  'a URL like postgres://user:password@host:5432/database,' +
  ' with special characters in the password percent-encoded, like %23 for "#"';
const SCHEMA_NAME = 'a name of 1 to 63 bytes that neither begins with "pg_" nor contains "$$"';

/** What each option must be. Numbers may be strings, since environment variables always are. */
const CHECKS: Record<
  string,
  { key: keyof Config; parse: (value: unknown, name: string) => unknown; expected: string }
> = {
  url: { key: 'url', parse: connectionString, expected: CONNECTION_STRING },
  directUrl: { key: 'directUrl', parse: connectionString, expected: CONNECTION_STRING },
  tls: {
    key: 'tls',
    parse: oneOf('verify', 'no-verify', 'off'),
    expected: "'verify', 'no-verify' or 'off'",
  },
  schema: { key: 'schema', parse: schemaName, expected: SCHEMA_NAME },
  apiSchema: { key: 'apiSchema', parse: schemaName, expected: SCHEMA_NAME },
  roles: {
    key: 'roles',
    parse: roles,
    expected: 'an object with lists of role names: publish, consume, read',
  },
  triggers: {
    key: 'triggers',
    parse: triggers,
    expected: "an object of tables and their trigger options, like { users: { channel: 'users' } }",
  },
  consumers: { key: 'consumers', parse: text, expected: 'the path of a folder' },
  partition: { key: 'partition', parse: oneOf('day', 'hour'), expected: "'day' or 'hour'" },
  partitionsAhead: {
    key: 'partitionsAhead',
    parse: integer(1, 100),
    expected: 'a whole number from 1 to 100',
  },
  retention: {
    key: 'retentionMs',
    parse: longDuration,
    expected: "a duration like '7d', up to 100 years",
  },
  pollInterval: {
    key: 'pollIntervalMs',
    parse: duration(10),
    expected: "a duration like '5s', at least 10 ms",
  },
  reconnectDelay: {
    key: 'reconnectDelayMs',
    parse: duration(1),
    expected: "a duration like '500ms'",
  },
  heartbeatInterval: {
    key: 'heartbeatIntervalMs',
    parse: duration(10),
    expected: "a duration like '5s'",
  },
  heartbeatDeadline: {
    key: 'heartbeatDeadlineMs',
    parse: duration(10),
    expected: "a duration like '5s'",
  },
  maxBatchSize: {
    key: 'maxBatchSize',
    parse: integer(1, 10_000),
    expected: 'a whole number from 1 to 10000',
  },
  maxBatchBytes: { key: 'maxBatchBytes', parse: bytes, expected: "a size like '4MB'" },
  poolSize: { key: 'poolSize', parse: integer(2, 1000), expected: 'a whole number from 2 to 1000' },
  shutdownTimeout: {
    key: 'shutdownTimeoutMs',
    parse: duration(0),
    expected: "a duration like '30s'",
  },
};

/** The names of all options, as in a config file. */
export const OPTION_NAMES: readonly string[] = Object.keys(CHECKS);

/**
 * Checks the options of one source and converts them to properties of a Config.
 * @throws PgwatchError config_invalid (or the source's code), with the option and what it must be
 */
export function checkOptions({
  options,
  nameOf,
  fault = 'config_invalid',
}: OptionSource): Partial<Config> {
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined;
    if (!check) {
      throw new PgwatchError(
        fault,
        `${nameOf(name)} is not an option.${suggest(name, OPTION_NAMES)}` +
          ` Options are: ${OPTION_NAMES.join(', ')}.`,
      );
    }
    const parsed = check.parse(value, nameOf(name));
    if (parsed === undefined) {
      // A connection string is not shown: it may hold a password.
      const shown = /url/i.test(name) ? '' : `, not ${JSON.stringify(value)}`;
      throw new PgwatchError(fault, `${nameOf(name)} must be ${check.expected}${shown}.`);
    }
    checked[check.key] = parsed;
  }
  return checked;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The text itself, if it can be parsed without mistaking part of the password for another part. */
function connectionString(value: unknown): string | undefined {
  const parts =
    typeof value === 'string' ? /^postgres(?:ql)?:\/\/([^/?#]*)([^?]*)/i.exec(value) : null;
  if (!parts || String(value).includes('#')) return undefined;
  const [, authority = '', path = ''] = parts;
  const isUnescaped = !authority.includes('@') && path.includes('@');
  // No host means a Unix socket, which the pg driver accepts and URL does not.
  const url = String(value).replace('@/', '@localhost/');
  return isUnescaped || !URL.canParse(url) ? undefined : String(value);
}

function schemaName(value: unknown): string | undefined {
  const name = identifier(value);
  return name?.startsWith('pg_') ? undefined : name;
}

/** Our SQL quotes any name, but "$$" would end the body of a function. */
function identifier(value: unknown): string | undefined {
  if (typeof value !== 'string' || /\0|\$\$/.test(value) || !value.isWellFormed()) return undefined;
  const size = Buffer.byteLength(value);
  return size >= 1 && size <= 63 ? value : undefined;
}

function oneOf(...allowed: string[]) {
  return (value: unknown) => allowed.find((candidate) => candidate === value);
}

function integer(least: number, most: number) {
  return (value: unknown): number | undefined => {
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    const isInside =
      typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most;
    return isInside ? number : undefined;
  };
}

function duration(leastMs: number) {
  return (value: unknown): number | undefined => {
    const durationMs = parseDurationMs(value);
    const isInside =
      durationMs !== undefined && durationMs >= leastMs && durationMs <= TIMER_MS_MAX;
    return isInside ? durationMs : undefined;
  };
}

/** For durations that no timer waits for. */
function longDuration(value: unknown): number | undefined {
  const durationMs = parseDurationMs(value);
  const isInside = durationMs !== undefined && durationMs > 0 && durationMs <= CENTURY_MS;
  return isInside ? durationMs : undefined;
}

function bytes(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isInteger(value) && value > 0 ? value : undefined;
  const match = typeof value === 'string' ? /^(\d+)\s*(B|KB|MB|GB)?$/i.exec(value.trim()) : null;
  if (!match) return undefined;
  const exponent = ['B', 'KB', 'MB', 'GB'].indexOf((match[2] ?? 'B').toUpperCase());
  return Number(match[1]) * 1024 ** exponent || undefined;
}

function roles(value: unknown): Config['roles'] | undefined {
  if (!isObject(value)) return undefined;
  const result: Record<string, string[]> = { publish: [], consume: [], read: [] };
  for (const [kind, names] of Object.entries(value)) {
    const isList = Array.isArray(names) && names.every((name) => identifier(name) !== undefined);
    if (!Object.hasOwn(result, kind) || !isList) return undefined;
    result[kind] = names;
  }
  return result as unknown as Config['roles'];
}

/** @throws PgwatchError config_invalid if the options of a table are invalid */
function triggers(value: unknown, name: string): Config['triggers'] | undefined {
  if (!isObject(value)) return undefined;
  for (const [table, options] of Object.entries(value)) {
    if (!isObject(options)) return undefined;
    const nameOf = (option: string) => `${name}: ${JSON.stringify(table)}: ${option}`;
    checkTriggerOptions(options, nameOf, 'config_invalid');
  }
  return value as Config['triggers'];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const CENTURY_MS = 36_525 * 86_400_000;
