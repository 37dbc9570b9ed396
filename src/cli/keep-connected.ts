import type { Client } from 'pg';
import type { Config } from '../config/define.ts';
import { isStatementError } from '../database/connect.ts';
import { isTransient } from '../database/connection-error.ts';
import { PgwatchError, toError } from '../errors.ts';
import { backoffMs, sleep } from '../time.ts';
import { type Access, withDatabase } from './database.ts';
import type { CommonOptions } from './options.ts';

export type Connecting = {
  options: CommonOptions;
  access: Access;
  /** follow: a lost connection is made again, for as long as it takes. */
  mode: 'follow' | 'once';
  signal: AbortSignal;
  /** Told when the connection is lost, and whenever it cannot be made again. */
  onLost(error: Error, attempt: number): void;
  /** Told when it is there again. */
  onAgain?(): void;
};

/**
 * Runs the work with a connection, and again with a new one whenever that is lost, until the work
 * has ended or the signal aborts. A server that does not answer holds nobody up.
 * @throws what fails before the work has begun, and what another connection would not change
 */
export async function keepConnected(
  connecting: Connecting,
  work: (client: Client, config: Config) => Promise<void>,
): Promise<void> {
  const { signal } = connecting;
  const interrupted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await Promise.race([connectAgain(connecting, work), interrupted]);
}

async function connectAgain(
  { options, access, mode, signal, onLost, onAgain }: Connecting,
  work: (client: Client, config: Config) => Promise<void>,
): Promise<void> {
  let hasBegun = false;
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      return await withDatabase(options, access, async (client, config) => {
        if (attempt > 0) onAgain?.();
        [hasBegun, attempt] = [true, 0];
        await work(client, config).catch(async (thrown: unknown) => {
          throw (await isLost(client, thrown)) ? new LostConnection(thrown) : thrown;
        });
      });
    } catch (thrown) {
      if (signal.aborted) return;
      if (mode === 'once' || !hasBegun || !mayComeBack(thrown)) throw unwrapped(thrown);
      onLost(toError(unwrapped(thrown)), attempt);
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
  if (thrown instanceof LostConnection) return true;
  if (!(thrown instanceof PgwatchError)) return false;
  if (thrown.code === 'connection_failed') return isTransient(thrown);
  // A server that is being promoted, and a table that somebody has locked.
  return thrown.code === 'server_unsuitable' || thrown.code === 'table_locked';
}

function unwrapped(thrown: unknown): unknown {
  return thrown instanceof LostConnection ? thrown.cause : thrown;
}

const BACKOFF = { baseMs: 250, capMs: 10_000 };
