import type { UserConfig } from '../../../src/config/define.ts';
import type { ConsumerDefinition } from '../../../src/consumers/define.ts';
import type { Promised } from '../history/history.ts';
import type { HandlerName } from './handlers.ts';

/** What a daemon's process is told, as JSON. */
export type DaemonSetup = {
  url: string;
  /** The round's folder, where handlers record what they do. */
  folder: string;
  consumers: readonly ConsumerSetup[];
  config: UserConfig;
  /** The name of a wrong reader; else the right one. */
  reader?: string;
  /** It kills itself (-9) so many steps after its start. */
  killAt?: number;
};

export type ConsumerSetup = {
  id: string;
  handler: HandlerName;
  /** What else its definition says. */
  options: Partial<Omit<ConsumerDefinition, 'id' | 'handle' | 'handleBatch'>>;
  /** What the checker holds it to. */
  promised: Omit<Promised, 'id'>;
};
