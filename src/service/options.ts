import { resolve } from 'node:path';
import type pg from 'pg';
import { checkOptions, OPTION_NAMES, type OptionSource } from '../config/check.ts';
import type { Config } from '../config/define.ts';
import { type AnyChannels, Channels } from '../consumers/channels.ts';
import type { UserConfig } from '../consumers/hooks.ts';
import { PgwatchError } from '../errors.ts';
import { isObject, shown } from '../kinds.ts';
import type { Reporter } from '../reporter.ts';
import { onlyKnown } from '../suggest.ts';

/** The options of createPgwatch(): those of a config file, and some that only a program has. */
export type PgwatchOptions = UserConfig & {
  /**
   * The program's own pool, instead of url. It publishes, and context.db of handlers borrows its
   * connections from it; it is neither changed nor ended. The log is read on connections beside it,
   * made with its options.
   */
  pool?: pg.Pool;
  /** The channels and their schemas, as returned by defineChannels(). Default: any channel. */
  channels?: AnyChannels;
  /** Receives what pgwatch has to tell. Default: warnings and errors are written to stderr. */
  reporter?: Reporter;
  /**
   * True: a config file counts, too; it is searched for from the working directory upwards. Or the
   * path of the file. Default false.
   */
  config?: boolean | string;
};

/** The options of createPgwatch(), checked. */
export type Given = {
  /** Only the options of a config file. */
  source: OptionSource;
  pool: pg.Pool | null;
  channels: AnyChannels | null;
  reporter: Reporter | null;
  file: boolean | string;
};

/** @throws PgwatchError config_invalid */
export function checkGiven(options: PgwatchOptions): Given {
  if (!isObject(options)) {
    throw invalid(`createPgwatch() takes an object of options, not ${shown(options)}.`);
  }
  const { pool = null, channels = null, reporter = null, config: file = false, ...rest } = options;
  const source = { options: rest, nameOf: (name: string) => name };
  const names = [...OPTION_NAMES, 'pool', 'channels', 'reporter', 'config'];
  onlyKnown(options, names, 'createPgwatch()', 'config_invalid');
  checkOptions(source);
  if (pool !== null) checkPool(pool, rest);
  if (channels !== null && !(channels instanceof Channels)) {
    throw invalid(`channels must be what defineChannels() returns, not ${shown(channels)}.`);
  }
  if (reporter !== null) checkReporter(reporter);
  if (typeof file !== 'boolean' && typeof file !== 'string') {
    throw invalid(`config must be true, false or the path of a config file, not ${shown(file)}.`);
  }
  return { source, pool, channels, reporter, file };
}

/**
 * The complete config. The environment counts as in loadConfig(), except that a pool says where
 * connections lead to.
 * @throws PgwatchError config_invalid; usage if the config file does not exist
 */
export async function configOf({ source, pool, file }: Given): Promise<Config> {
  const folder = resolve();
  const path = typeof file === 'string' ? file : undefined;
  const found = file ? await (await import('../config/file.ts')).findFile(folder, path) : undefined;
  const { completeConfig } = await import('../config/load.ts');
  const config = completeConfig({ folder, file: found, given: source });
  if (pool === null) return config;
  const { clientConfigOf } = await import('../database/target.ts');
  return Object.freeze({ ...config, url: null, client: clientConfigOf(pool.options), tls: null });
}

function checkPool(pool: pg.Pool, { url, tls }: UserConfig): void {
  if (typeof pool !== 'object' || typeof pool.connect !== 'function' || !pool.options) {
    throw invalid(`pool must be a Pool of the package pg, not ${shown(pool)}.`);
  }
  if (!tellsStatus(pool)) {
    throw invalid(
      'pool belongs to a pg that does not tell whether a transaction is open: it must be of pg ' +
        '8.23 or newer, and not of pg.native.',
    );
  }
  const beside = Object.entries({ url, tls }).find(([, value]) => value !== undefined);
  if (beside) {
    throw invalid(
      `${beside[0]} cannot be combined with pool, whose options say where it leads to.`,
    );
  }
  if (pool.ending || pool.ended) {
    throw invalid('pool has been ended. Pass one that is open, and call close() before its end().');
  }
  if (pool.options.max < 2) {
    throw invalid(
      `pool must have at least 2 connections (max), not ${pool.options.max}: ` +
        'a handler that publishes through the pool would wait for its own connection.',
    );
  }
}

function tellsStatus(pool: pg.Pool): boolean {
  const { Client } = pool as { Client?: { prototype?: Partial<pg.Client> } };
  return typeof Client?.prototype?.getTransactionStatus === 'function';
}

function checkReporter(reporter: Reporter): void {
  const missing = LEVELS.find((level) => typeof reporter?.[level] !== 'function');
  if (missing === undefined) return;
  throw invalid(
    `reporter must have the functions ${LEVELS.join(', ')}, and has no ${missing}. ` +
      'A logger like pino or console has them all.',
  );
}

function invalid(message: string): PgwatchError {
  return new PgwatchError('config_invalid', message);
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
