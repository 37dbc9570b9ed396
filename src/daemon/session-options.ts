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
import type { OwnershipOptions } from './owned/ownership.ts';
import type { Settler } from './owned/settler.ts';
import type { SharingOptions } from './shared/sharing.ts';

/** What outlives a session, and goes from one to the next. */
export type SessionOptions = {
  config: Config;
  consumers: readonly Consumer[];
  /** Of the consumers that there are files for, those included that this daemon does not run. */
  knownIds: readonly string[];
  /** Reads the log. */
  pool: Pool;
  handlerPool: Pool;
  settler: Settler;
  reporter: Reporter;
  readPage: ReadPage;
  atWork: AtWork;
  sharing: SharingOptions['sharing'];
  skipping: OwnershipOptions['skipping'];
  suspicions: Suspicions;
  meters: ReadonlyMap<string, Meter>;
  /** Aborts when a stop has taken so long that the database is not waited for any more. */
  cutOff: AbortSignal;
  /** Aborts when a run to the end does not wait for the database any longer. */
  hasNoPatience: AbortSignal;
  daemonId: string;
  /** The control connection before this one. */
  predecessor: Backend | null;
  /** Called once the connection stands. */
  onConnected(control: Control): void;
  /** Called once it is a member, and works. */
  onWorking(): void;
  callingFor(consumer: Consumer): Calling;
  /** tail: until the signal aborts. once: until everything visible is handled. */
  mode: 'tail' | 'once';
};

/** What the parts of a session work with. */
export type PartOptions = Omit<SessionOptions, 'pool'> & { pool: SessionPool; judge: LossJudge };

/** What a session has found at its start. */
export type Found = {
  control: Control;
  rebasedId: number;
  /** What any of the daemon's consumers wants. */
  channels: readonly string[];
};
