import type { UserConfig } from '../../src/consumers/hooks.ts';
import type { Door } from './daemons/doors.ts';
import type { HandlerName } from './daemons/handlers.ts';
import type { ConsumerSetup, WrongLoop } from './daemons/setup.ts';
import type { SourceChange } from './daemons/wrong-source.ts';
import type { Finding } from './history/check.ts';
import type { TortureServer } from './server.ts';
import type { World } from './world.ts';
import type { WriterOptions } from './writers/writers.ts';

/** One way to harm pgwatch, with mutants that prove that the harm has an effect. */
export type Experiment = {
  name: string;
  /** Harms everything in the world, for about as long as the world says. */
  run(world: World): Promise<void>;
  /** Broken variants, named by what is wrong with them. The same run must catch each of them. */
  mutants: Readonly<Record<string, Mutation>>;
  /** For an experiment that needs its own server, which is stopped after the round. */
  startServer?(): Promise<TortureServer>;
  /** Why it cannot run on this machine; null if it can. */
  unavailable?(): string | null;
};

/** What is broken on purpose. */
export type Mutation = {
  /** Finding one of these counts as catching it; other consequences do not count. */
  shows: readonly Finding[];
  /** The door that it needs. Default: any. */
  door?: Door;
  /** Needs the door daemon. */
  reader?: string;
  handler?: HandlerName;
  /** Needs the door subscribe. */
  loop?: WrongLoop;
  /** Changes of pgwatch's source, in the processes of daemons only. */
  source?: readonly SourceChange[];
  /** Added to every consumer's definition, but not to what it promises. */
  options?: ConsumerSetup['options'];
  config?: UserConfig;
  /** Rewrites statements of pgwatch's functions that the experiment itself calls. */
  rewrite?(text: string): string;
  /** Run in the round's database before anything else. */
  sql?: string;
  writers?: Partial<Pick<WriterOptions, 'belief' | 'retryWith'>>;
};
