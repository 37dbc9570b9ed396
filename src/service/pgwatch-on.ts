import type {
  ChannelOf,
  NewNotificationOn,
  NotificationFrom,
  PublishedOn,
  ReadChannel,
  ReadOf,
  ReceivedFrom,
} from '../consumers/channel-types.ts';
import type { AnyChannels, SchemasOf } from '../consumers/channels.ts';
import type { PublishOptions } from '../log/publish.ts';
import type { Delivery } from './delivery.ts';
import type { EveryProcessOptions } from './every-process/options.ts';
import type { InTransaction, Pgwatch } from './pgwatch.ts';
import type { SubscribeOptions } from './subscribe-options.ts';
import type { Subscription } from './subscription.ts';

/**
 * A Pgwatch that knows its channels, as defineChannels() returns them, and the payloads on them:
 * PgwatchOn<typeof channels>. See Pgwatch for the methods.
 */
export type PgwatchOn<Given extends AnyChannels> = OnSchemas<SchemasOf<Given>>;

type OnSchemas<Schemas> = Omit<Pgwatch, 'notify' | 'notifyMany' | 'subscribe'> & {
  /** @throws PgwatchError as Pgwatch.notify; payload_invalid if the payload does not match */
  notify<Channel extends ChannelOf<Schemas>>(
    channel: Channel,
    payload: PublishedOn<Schemas, Channel>,
    options?: PublishOptions & InTransaction,
  ): Promise<number>;
  /** @throws PgwatchError as notify */
  notifyMany(
    notifications: readonly NewNotificationOn<Schemas>[],
    options?: InTransaction,
  ): Promise<number[]>;
  subscribe<const Read extends ReadChannel<Schemas>>(
    options: OptionsOn<Read> & { batch: number },
  ): Subscription<unknown, DeliveryFrom<Schemas, Read>[]>;
  subscribe<const Read extends ReadChannel<Schemas>>(
    options: OptionsOn<Read> & { batch?: never },
  ): Subscription<unknown, DeliveryFrom<Schemas, Read>>;
  subscribe<const Read extends ReadChannel<Schemas>>(
    options: Omit<EveryProcessOptions, 'channels'> & { channels: readonly Read[] },
  ): AsyncIterableIterator<NotificationFrom<Schemas, Read, 'input'>, void> & {
    ready(): Promise<void>;
    stop(): Promise<void>;
  };
};

type OptionsOn<Read extends string> = Omit<SubscribeOptions, 'channels' | 'schema' | 'batch'> & {
  channels: readonly Read[];
};

type DeliveryFrom<Schemas, Read extends string> = {
  [Channel in ReadOf<Schemas, Read>]: Delivery<ReceivedFrom<Schemas, Channel>> & {
    readonly channel: Channel;
  };
}[ReadOf<Schemas, Read>];
