import type { Config, ConfigOptions } from '../config/define.ts';
import type { Notification } from '../log/notification.ts';
import type { Around } from './define.ts';

/** A notification that has become a dead letter of a consumer. */
export type NewDeadLetter = {
  consumerId: string;
  notificationId: number;
  key: string | null;
  attempts: number;
  /** Why the last attempt failed. */
  error: Error;
  /** Null if it is no longer in the log. */
  notification: Notification | null;
};

/** Functions of the program that are called while consumers run. */
export type Hooks = {
  /** Surrounds the calls of all consumers; each consumer may have its own within. */
  around?: Around;
  /**
   * Called once for each new dead letter, after it was saved; not if the process dies in between.
   * Its failure is reported, and changes nothing.
   */
  onDead?(deadLetter: NewDeadLetter): unknown;
};

/** The options in pgwatch.config.ts. Everything is optional. */
export type UserConfig = Omit<ConfigOptions, keyof Hooks> & Hooks;

/** Gives a config file its types. Returns its argument. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}

/** The hooks of a config, which only defines that they are functions. */
export function hooksOf({ around, onDead }: Config): {
  [Name in keyof Hooks]-?: NonNullable<Hooks[Name]> | null;
} {
  return { around, onDead } as ReturnType<typeof hooksOf>;
}
