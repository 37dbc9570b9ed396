import type { ConsumerDefinition } from '../../../src/consumers/define.ts';
import type { UserConfig } from '../../../src/consumers/hooks.ts';
import type { Promised } from '../history/history.ts';
import type { Payload } from '../writers/transaction.ts';
import type { Door } from './doors.ts';
import type { HandlerName } from './handlers.ts';
import type { SourceChange } from './wrong-source.ts';

/** The setup of a daemon's process, passed as JSON. */
export type DaemonSetup = {
  url: string;
  /** The round's folder, where handlers record what they do. */
  folder: string;
  door: Door;
  consumers: readonly ConsumerSetup[];
  config: UserConfig;
  /** The name of a wrong reader; absent for the right one. */
  reader?: string;
  /** A fault of the loops over subscribe(); absent for right ones. */
  wrongLoop?: WrongLoop;
  /** Changes that make pgwatch's own source wrong. */
  wrongSource?: readonly SourceChange[];
  /** It kills itself (-9) this many steps after its start. */
  killAt?: number;
};

export type WrongLoop = 'acknowledges before the work';

export type ConsumerSetup = {
  id: string;
  handler: HandlerName;
  /** The rest of its definition. */
  options: Partial<Omit<ConsumerDefinition<Payload>, 'id' | 'handle' | 'handleBatch'>>;
  /** It takes batches of up to so many. Default: single notifications. */
  batch?: number;
  /** What the checker requires of it. */
  promised: Omit<Promised, 'id'>;
};
