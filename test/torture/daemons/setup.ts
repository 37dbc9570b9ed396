import type { ConsumerDefinition } from '../../../src/consumers/define.ts';
import type { UserConfig } from '../../../src/consumers/hooks.ts';
import type { Promised } from '../history/history.ts';
import type { HandlerName } from './handlers.ts';

/** The setup of a daemon's process, passed as JSON. */
export type DaemonSetup = {
  url: string;
  /** The round's folder, where handlers record what they do. */
  folder: string;
  consumers: readonly ConsumerSetup[];
  config: UserConfig;
  /** The name of a wrong reader; absent for the right one. */
  reader?: string;
  /** It kills itself (-9) this many steps after its start. */
  killAt?: number;
};

export type ConsumerSetup = {
  id: string;
  handler: HandlerName;
  /** The rest of its definition. */
  options: Partial<Omit<ConsumerDefinition, 'id' | 'handle' | 'handleBatch'>>;
  /** What the checker requires of it. */
  promised: Omit<Promised, 'id'>;
};
