import type { Notification } from '../log/notification.ts';
import type { PublishOptions } from '../log/publish.ts';
import type { BatchDefinition, ConsumerContext, SingleDefinition } from './define.ts';
import type { StandardSchema } from './schema.ts';

/** The schema of each channel's payloads; null: anything. */
export type ChannelSchemas = Readonly<Record<string, StandardSchema | null>>;

/** The name of one of the channels. */
export type ChannelOf<Schemas> = keyof Schemas & string;

/** What consumers read: a channel, or a pattern like 'orders.*'. */
export type ReadChannel<Schemas> = ChannelOf<Schemas> | `${string}*${string}`;

/** What is published on a channel. */
export type PublishedOn<Schemas, Channel extends keyof Schemas> = TypesOf<
  Schemas[Channel]
>['input'];

/** What is received from a channel: the output of its schema. */
export type ReceivedFrom<Schemas, Channel extends keyof Schemas> = TypesOf<
  Schemas[Channel]
>['output'];

/** A notification to publish on one of the channels. */
export type NewNotificationOn<Schemas> = {
  [Channel in ChannelOf<Schemas>]: PublishOptions & {
    channel: Channel;
    payload: PublishedOn<Schemas, Channel>;
  };
}[ChannelOf<Schemas>];

/**
 * A notification from one of the channels that are read; its channel tells its payload. The output
 * of a schema that has checked it, or the input as it was published.
 */
export type NotificationFrom<
  Schemas,
  Read extends string,
  Side extends 'input' | 'output' = 'output',
> = {
  [Channel in ReadOf<Schemas, Read>]: Notification<TypesOf<Schemas[Channel]>[Side]> & {
    readonly channel: Channel;
  };
}[ReadOf<Schemas, Read>];

/** The channels that are read, those that patterns stand for included. */
export type ReadOf<Schemas, Read extends string> = {
  [Channel in ChannelOf<Schemas>]: Channel extends Matching<Read> ? Channel : never;
}[ChannelOf<Schemas>];

/** A consumer of some of the channels. */
export type SingleDefinitionOn<Schemas, Read extends string> = Omit<
  SingleDefinition,
  'channels' | 'schema' | 'handle'
> & {
  channels: readonly Read[];
  handle(notification: NotificationFrom<Schemas, Read>, context: ConsumerContext): unknown;
};

/** The same for many notifications at once. */
export type BatchDefinitionOn<Schemas, Read extends string> = Omit<
  BatchDefinition,
  'channels' | 'schema' | 'handleBatch'
> & {
  channels: readonly Read[];
  handleBatch(notifications: NotificationFrom<Schemas, Read>[], context: ConsumerContext): unknown;
};

/** Whatever a pattern stands for, as a template. */
type Matching<Pattern extends string> = Pattern extends `${infer Before}*${infer After}`
  ? `${Before}${string}${Matching<After>}`
  : Pattern;

type TypesOf<Schema> = Schema extends { readonly '~standard': { readonly types?: infer Types } }
  ? NonNullable<Types> extends { readonly input: infer Input; readonly output: infer Output }
    ? { input: Input; output: Output }
    : Anything
  : Anything;

type Anything = { input: unknown; output: unknown };
