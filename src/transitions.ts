import { channel } from 'node:diagnostics_channel';

/**
 * What the daemon does, published on the diagnostics channel `pgwatch` as it happens. Tests wait
 * for transitions instead of sleeping; operators can subscribe to them, too.
 */
export type Transition =
  | { type: 'connected' }
  | { type: 'disconnected'; error: Error }
  | { type: 'listening'; mode: 'doorbell' | 'poll' }
  | { type: 'asleep' }
  | { type: 'awake' }
  | { type: 'consumer_registered'; consumerId: string }
  | { type: 'consumer_owned'; consumerId: string; epoch: number }
  | { type: 'consumer_standby'; consumerId: string }
  | { type: 'consumer_paused'; consumerId: string }
  | { type: 'consumer_lost'; consumerId: string; epoch: number }
  | { type: 'consumer_released'; consumerId: string }
  | { type: 'consumer_shared'; consumerId: string; processes: number }
  | { type: 'catching_up'; consumerId: string }
  | { type: 'caught_up'; consumerId: string; count: number }
  | { type: 'tail_joined'; consumerId: string }
  | { type: 'tail_left'; consumerId: string }
  | { type: 'position_saved'; consumerIds: string[] }
  | {
      type: 'handler_failed';
      consumerId: string;
      notificationId: number;
      attempt: number;
      isDead: boolean;
    };

const transitions = channel('pgwatch');

/** Publishes a transition to all subscribers. Costs nothing if there are none. */
export function publishTransition(transition: Transition): void {
  if (transitions.hasSubscribers) transitions.publish(transition);
}

/** Calls the listener with each transition. Returns a function that ends the subscription. */
export function subscribeTransitions(listener: (transition: Transition) => void): () => void {
  const onMessage = (message: unknown) => listener(message as Transition);
  transitions.subscribe(onMessage);
  return () => transitions.unsubscribe(onMessage);
}
