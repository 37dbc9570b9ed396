import { createContext, Script } from 'node:vm';
import { PgwatchError, textOf, toError } from '../../errors.ts';
import type { LogNotification } from '../../log/notification.ts';
import { actionOf } from './line.ts';

/**
 * An expression of the user over notifications. It runs with a time limit, but not in a sandbox:
 * its author can run anything here anyway.
 */
export class Where {
  readonly #script: Script;
  readonly #context = createContext({});
  #tried = 0;
  #failed = 0;
  #firstError: string | undefined;
  #hasComplained = false;

  /** @throws PgwatchError usage if it is not an expression */
  constructor(expression: string) {
    try {
      this.#script = new Script(`(${expression}\n)`, { filename: '--where' });
    } catch (thrown) {
      throw new PgwatchError(
        'usage',
        `--where is not a valid JavaScript expression: ${toError(thrown).message}. ` +
          "Write one like 'payload.total > 100'.",
      );
    }
  }

  /** An expression that throws, or takes too long, does not match. */
  matches(notification: LogNotification): boolean {
    const { id, channel, key, payload, change, createdAt, eventId } = notification;
    const [action, table] = [actionOf(notification), change?.table ?? null];
    const values = { id, channel, key, payload, change, action, table, createdAt, eventId };
    this.#tried += 1;
    try {
      return Boolean(this.#script.runInContext(Object.assign(this.#context, values), LIMIT));
    } catch (thrown) {
      this.#failed += 1;
      this.#firstError ??= describe(thrown);
      return false;
    }
  }

  /** Reports once that it has failed for every notification so far: probably a typo. */
  complaint(): string | undefined {
    const error = this.#firstError;
    if (error === undefined || this.#failed < this.#tried || this.#hasComplained) return undefined;
    this.#hasComplained = true;
    const count = this.#failed === 1 ? 'the first' : `each of ${this.#failed}`;
    return `--where has failed for ${count} so far: ${error}. Such notifications are not shown.`;
  }
}

/** The error comes from another realm, where instanceof does not work. */
function describe(thrown: unknown): string {
  const error = thrown as { name?: unknown; message?: unknown };
  const texts = [textOf(() => error.name), textOf(() => error.message)];
  return texts.filter((text) => text !== '').join(': ') || toError(thrown).message;
}

const LIMIT = { timeout: 250 };
