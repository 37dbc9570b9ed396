/** The public API: what consumer files, config files and publishing programs import. */
export type { TriggerPlace } from './capture/change-triggers.ts';
export { createTrigger, dropTrigger } from './capture/create-trigger.ts';
export type { Operation, TriggerOptions } from './config/triggers.ts';
export type {
  ChannelSchemas,
  NewNotificationOn,
  NotificationFrom,
} from './consumers/channel-types.ts';
export { Channels, defineChannels } from './consumers/channels.ts';
export {
  type Around,
  type BatchDefinition,
  type ConsumerContext,
  type ConsumerDefinition,
  type Database,
  defineConsumer,
  type RetryOptions,
  type SingleDefinition,
} from './consumers/define.ts';
export {
  defineConfig,
  type Hooks,
  type NewDeadLetter,
  type UserConfig,
} from './consumers/hooks.ts';
export { DeadLetter, RetryAfter } from './consumers/outcome.ts';
export type { StandardSchema } from './consumers/schema.ts';
export type { AdaptedTransaction } from './database/adapted-transaction.ts';
export { type ErrorCode, PgwatchError } from './errors.ts';
export type { CapturedTables, Change } from './log/change.ts';
export type { Gap } from './log/gap.ts';
export type { Notification } from './log/notification.ts';
export {
  type NewNotification,
  notify,
  notifyMany,
  notifyQuery,
  type PublishOptions,
} from './log/publish.ts';
export type { NotifyQuery } from './log/publish-sql.ts';
export type { Fields, Reporter } from './reporter.ts';
export { createPgwatch } from './service/create.ts';
export type { Delivery, NackOptions } from './service/delivery.ts';
export type { EveryProcessOptions } from './service/every-process/options.ts';
export type { ProcessSubscription } from './service/every-process/subscription.ts';
export type { Listening, ListenOptions } from './service/listening.ts';
export type { PgwatchOptions } from './service/options.ts';
export type { InTransaction, Pgwatch } from './service/pgwatch.ts';
export type { PgwatchOn } from './service/pgwatch-on.ts';
export type { SubscribeOptions } from './service/subscribe-options.ts';
export type { Subscription } from './service/subscription.ts';
export { subscribeTransitions, type Transition } from './transitions.ts';
