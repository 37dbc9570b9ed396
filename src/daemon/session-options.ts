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
import type { CatchUpDisplay } from './owned/catch-up.ts';
import type { Settler } from './owned/settler.ts';
import type { SharingOptions } from './shared/sharing.ts';

/** What the daemon was asked to do. */
export type Setup = {
  config: Config;
  consumers: readonly Consumer[];
  /** The ids of consumers that have files, or run beside this daemon in its program. */
  knownIds: readonly string[];
  reporter: Reporter;
  /** Reads the log. */
  readPage: ReadPage;
  /** tail: until the signal aborts. once: until everything visible is handled. */
  mode: 'tail' | 'once';
  display: CatchUpDisplay;
};

/** What outlives a session and is passed to the next one. */
export type Lasting = {
  /** Names this process in the database. */
  daemonId: string;
  /** Reads the log and saves positions; its settings are unsuitable for anything else. */
  logPool: Pool;
  /** What context.db of handlers uses. */
  handlerPool: Pool;
  settler: Settler;
  atWork: AtWork;
  /** The shared consumers that it still works on, by id. */
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
  /** Aborts when a stop has taken so long that the daemon no longer waits for the database. */
  cutOff: AbortSignal;
  /** Aborts when a run with --once no longer waits for the database. */
  hasNoPatience: AbortSignal;
  /** Called once the connection is established. */
  onConnected(control: Control): void;
  /** Called once the daemon has joined the others and works. */
  onWorking(): void;
};

/** What the parts of a session work with. */
export type Inside = {
  control: Control;
  /** The pool for the log, for the duration of the session. */
  pool: SessionPool;
  judge: LossJudge;
  rebasedId: number;
  /** The channels of all of the daemon's consumers. */
  channels: readonly string[];
};
