import type { Config } from '../config/define.ts';
import type { Consumer } from '../consumers/define.ts';
import type { Backend } from '../database/backend.ts';
import type { Pool } from '../database/pool.ts';
import type { ReadPage } from '../log/page.ts';
import type { Reporter } from '../reporter.ts';
import type { Calling } from './calls/calling.ts';
import type { Meter } from './calls/meter.ts';
import type { Suspicions } from './calls/suspicions.ts';
import type { LossJudge } from './calls/transaction/loss.ts';
import type { Control } from './control/control.ts';
import type { SessionPool } from './control/session-pool.ts';
import type { AtWork } from './owned/at-work.ts';
import type { Settler } from './owned/settler.ts';
import type { SharingOptions } from './shared/sharing.ts';

/** What the daemon is asked to do. */
export type Setup = {
  config: Config;
  consumers: readonly Consumer[];
  /** Of the consumers that there are files for, those included that this daemon does not run. */
  knownIds: readonly string[];
  reporter: Reporter;
  /** Reads the log. */
  readPage: ReadPage;
  /** tail: until the signal aborts. once: until everything visible is handled. */
  mode: 'tail' | 'once';
};

/** What outlives a session, and goes from one to the next. */
export type Lasting = {
  /** Names this process in the database. */
  daemonId: string;
  /** Reads the log and saves positions; its settings suit nothing else. */
  logPool: Pool;
  /** What handlers write with. */
  handlerPool: Pool;
  settler: Settler;
  atWork: AtWork;
  /** What it still works on together with others, by consumer. */
  sharing: SharingOptions['sharing'];
  /** Consumers whose missed notifications are to be skipped when they are first taken over. */
  skipping: Set<string>;
  suspicions: Suspicions;
  meters: ReadonlyMap<string, Meter>;
  callingFor(consumer: Consumer): Calling;
};

export type SessionOptions = {
  setup: Setup;
  lasting: Lasting;
  /** The control connection before this one. */
  predecessor: Backend | null;
  /** Aborts when a stop has taken so long that the database is not waited for any more. */
  cutOff: AbortSignal;
  /** Aborts when a run to the end does not wait for the database any longer. */
  hasNoPatience: AbortSignal;
  /** Called once the connection stands. */
  onConnected(control: Control): void;
  /** Called once it is a member, and works. */
  onWorking(): void;
};

/** What the parts of a session work with. */
export type Inside = {
  control: Control;
  /** The pool of the log for as long as the session lasts. */
  pool: SessionPool;
  judge: LossJudge;
  rebasedId: number;
  /** What any of the daemon's consumers wants. */
  channels: readonly string[];
};
