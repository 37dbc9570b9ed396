import type { Client } from 'pg';
import type { Config } from '../../config/define.ts';
import { isStatementError } from '../../database/connect.ts';
import { isTransient } from '../../database/connection-error.ts';
import { PgwatchError } from '../../errors.ts';
import type { Reporter } from '../../reporter.ts';
import { backoffMs, sleep } from '../../time.ts';
import { withSchemaToRead } from '../connected.ts';
import type { CommonOptions } from '../options.ts';

export type Connecting = {
  options: CommonOptions;
  reporter: Reporter;
  signal: AbortSignal;
  /** follow: a connection that is lost is made anew, for as long as it takes. */
  mode: 'follow' | 'once';
};

/** Runs the work with a connection, again with a new one whenever that is lost, until it has ended. */
export async function keepConnected(
  { options, reporter, signal, mode }: Connecting,
  work: (client: Client, config: Config) => Promise<void>,
): Promise<void> {
  let hasBegun = false;
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      return await withSchemaToRead(options, async (client, config) => {
        if (attempt > 0) reporter.info('Connected again.');
        [hasBegun, attempt] = [true, 0];
        await work(client, config).catch(async (thrown: unknown) => {
          throw (await isLost(client, thrown)) ? new LostConnection(thrown) : thrown;
        });
      });
    } catch (thrown) {
      if (signal.aborted) return;
      if (mode === 'once' || !hasBegun || !mayComeBack(thrown)) throw unwrapped(thrown);
      if (isLocked(thrown)) reporter.warn(`${thrown.message} Trying again until Ctrl-C.`);
      else if (attempt === 0) {
        reporter.warn('The connection is lost: trying again until Ctrl-C.');
      }
      await sleep(backoffMs(attempt + 1, BACKOFF), signal);
    }
  }
}

/** The work failed, and its connection is gone. */
class LostConnection extends Error {
  constructor(cause: unknown) {
    super('the connection is lost', { cause });
  }
}

/** What the error says is not enough: any statement may fail on a connection that is gone. */
async function isLost(client: Client, thrown: unknown): Promise<boolean> {
  if (isStatementError(thrown) || thrown instanceof PgwatchError) return false;
  return client.query('select').then(
    () => false,
    () => true,
  );
}

function mayComeBack(thrown: unknown): boolean {
  if (thrown instanceof LostConnection || isLocked(thrown)) return true;
  return (
    thrown instanceof PgwatchError && thrown.code === 'connection_failed' && isTransient(thrown)
  );
}

function isLocked(thrown: unknown): thrown is PgwatchError {
  return thrown instanceof PgwatchError && thrown.code === 'table_locked';
}

function unwrapped(thrown: unknown): unknown {
  return thrown instanceof LostConnection ? thrown.cause : thrown;
}

const BACKOFF = { baseMs: 250, capMs: 10_000 };
