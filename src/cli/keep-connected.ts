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
  /** follow: reconnect after a lost connection, however long it takes. */
  mode: 'follow' | 'once';
  signal: AbortSignal;
  /** Called when the connection is lost, and after each failed attempt to reconnect. */
  onLost(error: Error, attempt: number): void;
  /** Called once it is connected again. */
  onAgain?(): void;
};

/**
 * Runs the work with a connection, and again with a new one whenever that is lost, until the work
 * ends or the signal aborts. Aborting does not wait for a server that does not answer.
 * @throws errors before the work has begun, and errors that a new connection would not fix
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

/** The work failed because its connection was lost. */
class LostConnection extends Error {
  constructor(cause: unknown) {
    super('the connection is lost', { cause });
  }
}

/** Tries a statement: the error alone does not tell whether the connection is lost. */
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
  // A server that is being promoted, and a table that is locked.
  return thrown.code === 'server_unsuitable' || thrown.code === 'table_locked';
}

function unwrapped(thrown: unknown): unknown {
  return thrown instanceof LostConnection ? thrown.cause : thrown;
}

const BACKOFF = { baseMs: 250, capMs: 10_000 };
