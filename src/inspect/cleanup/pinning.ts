import { COUNTED_MAX, type Pin, type PinningConsumer } from '../../log/retention/pins.ts';
import { shellWord } from '../../shell-word.ts';
import { ageText, countOf } from '../../words.ts';

/** Explains why a consumer keeps notifications from being removed, and what to do. */
export function pinningAdvice(consumer: PinningConsumer, pins: readonly Pin[]): string {
  const { consumerId } = consumer;
  const has = (reason: Pin['reason']) =>
    pins.some((pin) => pin.consumerId === consumerId && pin.reason === reason);
  const facts = [
    ...(has('position') ? [positionText(consumer)] : []),
    ...(has('lease') ? ['is handling old notifications'] : []),
    ...(has('retry') ? ['has old notifications that wait for a retry'] : []),
  ];
  const isUnattended = !consumer.isAlive && !consumer.isPaused;
  const ways = [
    ...(has('position') || has('lease') ? [runText(consumer)] : []),
    ...(has('retry')
      ? [`see "pgwatch dlq list --state all --consumer ${shellWord(consumerId)}"`]
      : []),
    // A daemon that runs it would register it again; a paused consumer is to be resumed one day.
    ...(isUnattended
      ? [`remove the consumer with "pgwatch consumers remove ${shellWord(consumerId)}"`]
      : []),
    'or remove what it needs with --force',
  ];
  return `${consumerId} ${facts.join(', and ')}: ${ways.join(', ')}.`;
}

/** 'email (1,234 notifications), audit (retries, which are copied)'; empty if there are no pins. */
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

function positionText(consumer: PinningConsumer): string {
  const { atId, behind } = consumer;
  const count = `${behind.toLocaleString('en')}${behind === COUNTED_MAX ? ' or more' : ''}`;
  return `is at id ${atId}, ${count} behind, and ${stateText(consumer)}`;
}

function stateText({ isAlive, isPaused, isStopped, savedAt }: PinningConsumer): string {
  if (isPaused || !isAlive) {
    const state = isPaused ? 'paused' : 'not running';
    return `${state} (its position was saved ${ageText(savedAt)})`;
  }
  return isStopped ? 'stopped at a dead letter' : 'running';
}

function runText({ consumerId, behind, isAlive, isPaused, isStopped }: PinningConsumer): string {
  if (isPaused) return `resume it with "pgwatch consumers resume ${shellWord(consumerId)}"`;
  if (!isAlive) return 'start it with "pgwatch listen"';
  if (isStopped) {
    return `retry or discard that: "pgwatch dlq list --consumer ${shellWord(consumerId)}"`;
  }
  return behind > 0 ? 'wait until it has caught up' : 'wait a moment and run cleanup again';
}
