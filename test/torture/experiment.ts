import type { UserConfig } from '../../src/config/define.ts';
import type { HandlerName } from './daemons/handlers.ts';
import type { ConsumerSetup } from './daemons/setup.ts';
import type { Finding } from './history/check.ts';
import type { TortureServer } from './server.ts';
import type { World } from './world.ts';
import type { WriterOptions } from './writers/writers.ts';

/** One way to harm pgwatch, and the proof that the harm is felt. */
export type Experiment = {
  name: string;
  /** Harms what the world has in it, for about as long as the world says. */
  run(world: World): Promise<void>;
  /** Broken variants by what is wrong with them. Each must be caught by the same run. */
  mutants: Readonly<Record<string, Mutation>>;
  /** For one that needs a server of its own, which is stopped after the round. */
  startServer?(): Promise<TortureServer>;
  /** Why it cannot run on this machine; null where it can. */
  unavailable?(): string | null;
};

/** What is broken on purpose. */
export type Mutation = {
  /**
   * What must be found for it to count as caught: one of these, and nothing else that it brings.
   */
  shows: readonly Finding[];
  reader?: string;
  handler?: HandlerName;
  /** Of every consumer's definition, though not of what it promises. */
  options?: ConsumerSetup['options'];
  config?: UserConfig;
  /** Changes statements that the experiment itself has pgwatch's functions send. */
  rewrite?(text: string): string;
  /** Run in the round's database before anything else. */
  sql?: string;
  writers?: Partial<Pick<WriterOptions, 'belief' | 'retryWith'>>;
};
