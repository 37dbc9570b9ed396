import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConsumerContext } from '../../../src/consumers/define.ts';
import { DeadLetter, RetryAfter } from '../../../src/consumers/outcome.ts';
import type { Notification } from '../../../src/log/notification.ts';
import type { Handling } from '../history/history.ts';
import type { RecordWriter } from '../history/record.ts';
import type { Payload } from '../writers/transaction.ts';
import { openPool, writeEffect } from './effect.ts';
import { mirror } from './mirroring.ts';

export type TortureNotification = Notification<Payload>;
/** What handlers use of their context. */
export type TortureContext = Pick<ConsumerContext, 'consumerId' | 'db'>;
type Work = (notification: TortureNotification, context: TortureContext) => Promise<void>;

/** How a consumer's handler works. The names of wrong ones say what is wrong. */
export type HandlerName =
  | 'works'
  | 'writes an effect'
  | 'writes an effect after a while'
  | 'writes an effect, and blocks its process now and then'
  | 'returns before its work is done'
  | 'swallows its errors'
  | 'ignores ids that it has seen'
  | 'writes its effect over another connection'
  | 'mirrors';

/** What handlers work with. */
type Tools = { record: RecordWriter<Handling>; url: string; folder: string };

/** The file in the round's folder that says the handlers are fixed. */
export const FIXED = 'fixed';

/** Makes the handler of that name, which records what it does. */
export function makeHandler(name: HandlerName, { record, url, folder }: Tools): Work {
  const recorded = (work: Work) => recording(record, work);
  const suffer: Work = (notification, context) => work(notification, context, folder);
  switch (name) {
    case 'works':
      return recorded(suffer);
    case 'writes an effect':
      return recorded(async (notification, context) => {
        await suffer(notification, context);
        await writeEffect(context.db, notification, context.consumerId);
      });
    case 'writes an effect, and blocks its process now and then':
      return recorded(async (notification, context) => {
        const isBlocking = Math.random() < BLOCKING_SHARE && !existsSync(join(folder, FIXED));
        if (isBlocking && Math.random() < 0.5) block();
        await writeEffect(context.db, notification, context.consumerId);
        if (isBlocking) block();
      });
    case 'writes an effect after a while':
      return recorded(async (notification, context) => {
        await delay(30);
        await writeEffect(context.db, notification, context.consumerId);
      });
    case 'returns before its work is done':
      return async (notification, context) => {
        setTimeout(() => void recorded(suffer)(notification, context), 20);
      };
    case 'swallows its errors':
      return async (notification, context) =>
        recorded(suffer)(notification, context).catch(() => {});
    case 'ignores ids that it has seen': {
      const seen = new Set<number>();
      return async (notification, context) => {
        if (seen.has(notification.id)) return;
        await recorded(suffer)(notification, context);
        seen.add(notification.id);
      };
    }
    case 'mirrors':
      return mirroring(recorded);
    case 'writes its effect over another connection': {
      const pool = openPool(url);
      return recorded(async (notification, context) => {
        await writeEffect(pool, notification, context.consumerId);
        await suffer(notification, context);
      });
    }
  }
}

/** Mirrors changes of tables, and writes an effect for everything else. */
function mirroring(recorded: (work: Work) => Work): Work {
  const others = recorded((notification, { db, consumerId }) =>
    writeEffect(db, notification, consumerId),
  );
  return async (notification, context) => {
    if (await mirror(context.db, notification, context.consumerId)) return;
    await others(notification, context);
  };
}

/** Records that the handler was called, and that it returned, threw, or refused. */
function recording(record: RecordWriter<Handling>, work: Work): Work {
  return async (notification, context) => {
    const { token } = notification.payload;
    const note = (at: Handling['at']) =>
      record.append({ at, consumer: context.consumerId, token, pid: process.pid });
    note('begun');
    try {
      await work(notification, context);
    } catch (thrown) {
      note(thrown instanceof DeadLetter ? 'refused' : 'failed');
      throw thrown;
    }
    note('done');
  };
}

/** Works for a moment, mostly none, and then does what the poison says. */
async function work(
  { payload, attempt }: TortureNotification,
  { db }: TortureContext,
  folder: string,
): Promise<void> {
  const dice = Math.random();
  if (dice > 0.9) await delay(dice > 0.99 ? 50 : 5);
  const { poison } = payload;
  if (poison === 'kills') process.kill(process.pid, 'SIGKILL');
  if (poison === 'loses its backend') {
    await db.query('select pg_terminate_backend(pg_backend_pid())');
  }
  if (poison === 'never returns') await new Promise(() => {});
  const throws =
    poison === 'throws' ||
    (poison === 'throws once' && attempt === 1) ||
    (poison === 'throws until it is fixed' && !existsSync(join(folder, FIXED)));
  if (throws) throw new Error(`It ${poison}.`);
  if (poison === 'is refused') throw new DeadLetter('It is refused.');
  if (poison === 'asks to be called later' && Math.random() < 0.7) throw new RetryAfter(30);
}

/** Like a handler that computes for long: nothing else in the process runs meanwhile. */
function block(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS);
}

/** Longer than the process counts as alive: see the experiment blocked-loop. */
const BLOCKED_MS = 1200;
const BLOCKING_SHARE = 0.01;
