import type { PublishClient } from '../database/query-rows.ts';
import { PgwatchError } from '../errors.ts';
import { isObject, name, shown } from '../kinds.ts';
import { isPattern } from '../log/channels.ts';
import { notify, notifyMany, type PublishOptions } from '../log/publish.ts';
import { suggest } from '../suggest.ts';
import type {
  BatchDefinitionOn,
  ChannelOf,
  ChannelSchemas,
  NewNotificationOn,
  PublishedOn,
  ReadChannel,
  SingleDefinitionOn,
} from './channel-types.ts';
import {
  checkPayload,
  isStandardSchema,
  PayloadRefused,
  type SchemaByChannel,
  type StandardSchema,
} from './schema.ts';

/** Channels of any names and schemas. */
export type AnyChannels = Pick<
  Channels<ChannelSchemas>,
  'schemaOf' | 'requireKnown' | 'check' | 'checkAll'
>;

/** The schemas of channels: SchemasOf<typeof channels>. */
export type SchemasOf<Given> = Given extends Channels<infer Schemas> ? Schemas : never;

/**
 * Channels with the types of their payloads: a misspelt channel does not compile, a payload is
 * checked when it is published, and again when it is received. Whoever knows nothing of it can
 * still publish anything with SQL.
 */
export class Channels<Schemas extends ChannelSchemas> implements SchemaByChannel {
  readonly #schemas: Schemas;

  /** @throws PgwatchError input_invalid */
  constructor(schemas: Schemas) {
    if (!isObject(schemas)) {
      throw invalid(
        `defineChannels() takes an object of channels and schemas, not ${shown(schemas)}`,
      );
    }
    for (const [channel, schema] of Object.entries(schemas)) {
      if (isPattern(channel) || name.parse(channel) === undefined) {
        throw invalid(`defineChannels(): ${shown(channel)} is not ${name.expected} without "*"`);
      }
      if (schema === null || isStandardSchema(schema)) continue;
      throw invalid(
        `defineChannels(): ${channel} must have a Standard Schema, such as one of Zod, Valibot ` +
          'or ArkType, or null for any payload',
      );
    }
    this.#schemas = Object.freeze({ ...schemas });
  }

  /** The names of the channels. */
  get names(): ChannelOf<Schemas>[] {
    return Object.keys(this.#schemas);
  }

  schemaOf(channel: string): StandardSchema | null {
    return Object.hasOwn(this.#schemas, channel) ? (this.#schemas[channel] ?? null) : null;
  }

  /**
   * Publishes like notify(), a payload that matches the channel's schema. It is published as it was
   * given, not as the schema returns it.
   * @returns the notification's id
   * @throws PgwatchError payload_invalid, with the issues; channel_invalid; as notify()
   */
  async notify<Channel extends ChannelOf<Schemas>>(
    client: PublishClient,
    channel: Channel,
    payload: PublishedOn<Schemas, Channel>,
    options: (PublishOptions & { apiSchema?: string }) | null = {},
  ): Promise<number> {
    await this.check(channel, payload);
    return notify(client, channel, payload, options);
  }

  /**
   * Publishes like notifyMany(): all of them, or none if one does not match its schema.
   * @returns their ids
   * @throws as notify
   */
  async notifyMany(
    client: PublishClient,
    notifications: readonly NewNotificationOn<Schemas>[],
    options: { apiSchema?: string } | null = {},
  ): Promise<number[]> {
    await this.checkAll(notifications);
    return notifyMany(client, notifications, options);
  }

  /**
   * Gives a consumer the types of its channels. Returns it with its schema, so a test can call its
   * handle or handleBatch.
   * @throws PgwatchError consumer_invalid if it reads a channel that is not one of these
   */
  defineConsumer<const Read extends ReadChannel<Schemas>>(
    definition: SingleDefinitionOn<Schemas, Read>,
  ): SingleDefinitionOn<Schemas, Read> & { schema: SchemaByChannel };
  defineConsumer<const Read extends ReadChannel<Schemas>>(
    definition: BatchDefinitionOn<Schemas, Read>,
  ): BatchDefinitionOn<Schemas, Read> & { schema: SchemaByChannel };
  defineConsumer<Definition extends { channels: readonly string[] }>(
    definition: Definition,
  ): Definition & { schema: SchemaByChannel } {
    this.requireKnown(definition.channels);
    return { ...definition, schema: this };
  }

  /** @throws PgwatchError consumer_invalid if one of them is neither a channel nor a pattern */
  requireKnown(channels: readonly string[]): void {
    const unknown = channels.find((each) => !isPattern(each) && !this.#has(each));
    if (unknown !== undefined) throw this.#unknown('consumer_invalid', unknown);
  }

  /** @throws PgwatchError channel_invalid, payload_invalid */
  async check(channel: string, payload: unknown): Promise<void> {
    if (!this.#has(channel)) throw this.#unknown('channel_invalid', channel);
    const schema = this.schemaOf(channel);
    if (!schema) return;
    try {
      await checkPayload(schema, payload);
    } catch (thrown) {
      if (!(thrown instanceof PayloadRefused)) throw thrown;
      throw new PgwatchError('payload_invalid', `${channel}: ${thrown.message}.`, {
        cause: thrown,
      });
    }
  }

  /**
   * The same for each of many. What is no list of notifications is left to notifyMany() to refuse.
   * @throws PgwatchError channel_invalid, payload_invalid
   */
  async checkAll(given: readonly { channel: string; payload: unknown }[]): Promise<void> {
    if (!Array.isArray(given) || !given.every(isObject)) return;
    for (const { channel, payload } of given as { channel: string; payload: unknown }[]) {
      await this.check(channel, payload);
    }
  }

  #has(channel: string): boolean {
    return Object.hasOwn(this.#schemas, channel);
  }

  #unknown(code: 'channel_invalid' | 'consumer_invalid', channel: string): PgwatchError {
    const { names } = this;
    return new PgwatchError(
      code,
      `${shown(channel)} is not one of the channels.${suggest(channel, names)} ` +
        `They are: ${names.join(', ')}.`,
    );
  }
}

/**
 * Names the channels of a program, and the schemas of their payloads: Standard Schemas (Zod,
 * Valibot, ArkType, …), or null for any payload.
 * @throws PgwatchError input_invalid
 */
export function defineChannels<const Schemas extends ChannelSchemas>(
  schemas: Schemas,
): Channels<Schemas> {
  return new Channels(schemas);
}

function invalid(reason: string): PgwatchError {
  return new PgwatchError('input_invalid', `${reason}.`);
}
