import { qualified } from '../database/names.ts';

/** Tells whether a channel is one of those that are read. */
export type ChannelTest = (channel: string) => boolean;

/**
 * The channel that only this consumer reads, in addition to those it asks for; no pattern stands
 * for it. Notifications for it alone, such as the rows of a snapshot, are published there.
 */
export function consumerChannel(consumerId: string): string {
  return `${OWN_PREFIX}${consumerId}`;
}

/** True for a pattern: each * in it stands for any characters, or none. */
export function isPattern(channel: string): boolean {
  return channel.includes('*');
}

/**
 * Tests channels against a list of channels and patterns, like the SQL function channel_is_read.
 * @param channels a list that does not change: it is remembered
 */
export function channelTest(channels: readonly string[]): ChannelTest {
  let test = TESTS.get(channels);
  if (!test) {
    const patterns = channels.filter(isPattern).map(toRegExp);
    test =
      patterns.length === 0
        ? (channel) => channels.includes(channel)
        : (channel) =>
            channels.includes(channel) ||
            (!channel.startsWith(OWN_PREFIX) && patterns.some((each) => each.test(channel)));
    TESTS.set(channels, test);
  }
  return test;
}

/** The condition that a consumer reads the channel of a row of the log. */
export function isReadSql(schema: string, progress: string, log: string): string {
  return `${qualified(schema, 'channel_is_read')}(
    ${log}.channel, ${progress}.channels, ${progress}.channel_patterns)`;
}

/** The condition that a channel is one of a list given as a parameter, like $7. */
export function isOneOfSql(schema: string, channel: string, parameter: string): string {
  // As a subquery, the patterns are made once for the statement, and not for each row.
  return `${qualified(schema, 'channel_is_read')}(${channel}, ${parameter}::text[],
    (select ${qualified(schema, 'channel_patterns')}(${parameter}::text[])))`;
}

/** The names by which daemons that sleep on these channels are found: patterns have one for all. */
export function doorbellNames(channels: readonly string[]): string[] {
  const names = channels.filter((channel) => !isPattern(channel));
  return names.length < channels.length ? [...new Set([...names, '*'])] : names;
}

function toRegExp(pattern: string): RegExp {
  return new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 'su');
}

/** The text with its syntax characters escaped, as the flag u requires: those and no others. */
function escaped(text: string): string {
  return text.replaceAll(/[\^$\\.*+?()[\]{}|/]/g, '\\$&');
}

const OWN_PREFIX = 'consumer:';
const TESTS = new WeakMap<readonly string[], ChannelTest>();
