import { BEHIND_MAX, type Pin, type PinningConsumer } from '../../log/retention/pins.ts';
import { countOf, describeAge } from '../describe.ts';

/** Why a consumer keeps notifications from being removed, and how to go on. */
export function pinningAdvice(consumer: PinningConsumer, pins: readonly Pin[]): string {
  const { consumerId } = consumer;
  const has = (reason: Pin['reason']) =>
    pins.some((pin) => pin.consumerId === consumerId && pin.reason === reason);
  const facts = [
    ...(has('position') ? [positionText(consumer)] : []),
    ...(has('lease') ? ['is working on some of what is old'] : []),
    ...(has('retry') ? ['waits for retries of what is old'] : []),
  ];
  const ways = [
    ...(has('position') || has('lease') ? [runText(consumer)] : []),
    ...(has('retry') ? [`see "pgwatch dlq list --state all --consumer ${consumerId}"`] : []),
    `forget the consumer with "pgwatch consumers remove ${consumerId}"`,
    'or remove what it needs with --force',
  ];
  return `${consumerId} ${facts.join(', and ')}: ${ways.join(', ')}.`;
}

/** 'email (1,234 notifications), audit (retries)'; empty where nobody needs anything. */
export function needText(pins: readonly (Pin & { count: number | null })[]): string {
  const ids = [...new Set(pins.map(({ consumerId }) => consumerId))];
  return ids
    .map((id) => {
      const own = pins.filter(({ consumerId }) => consumerId === id);
      const count = own.reduce((sum, pin) => sum + (pin.count ?? 0), 0);
      const hasCopies = own.some(({ reason }) => reason !== 'position');
      const texts = [
        ...(count > 0 ? [countOf(count, 'notification')] : []),
        ...(hasCopies ? ['retries, which are copied'] : []),
      ];
      return `${id} (${texts.join(', ') || 'what it has not read'})`;
    })
    .join(', ');
}

function positionText({ atId, behind, isAlive, isPaused, savedAt }: PinningConsumer): string {
  const count = `${behind.toLocaleString('en')}${behind === BEHIND_MAX ? ' or more' : ''}`;
  const running = isAlive
    ? 'and running'
    : `and ${isPaused ? 'paused' : 'not running'} (its position was saved ${describeAge(savedAt)})`;
  return `is at id ${atId}, ${count} behind, ${running}`;
}

function runText({ consumerId, isAlive, isPaused }: PinningConsumer): string {
  if (isPaused) return `let it go on with "pgwatch consumers resume ${consumerId}"`;
  return isAlive ? 'wait until it has caught up' : 'start it with "pgwatch listen"';
}
