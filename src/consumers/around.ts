import type { Around, Consumer } from './define.ts';

/**
 * The consumer with its calls surrounded. Whatever the function does with the outcome of a call,
 * that outcome counts: a handler that has failed does not succeed because its error was caught.
 */
export function surrounded(consumer: Consumer, around: Around | null): Consumer {
  if (!around) return consumer;
  const handleBatch: Consumer['handleBatch'] = async (notifications, context) => {
    let running: Promise<unknown> | undefined;
    const call = () => {
      if (running) throw new Error('around() has made its call twice');
      // Async, because a handler may throw before its first await.
      running = (async () => consumer.handleBatch(notifications, context))();
      // Whoever does not wait for it here waits below.
      running.catch(() => {});
      return running;
    };
    try {
      await around(call, { notifications, context });
    } catch (thrown) {
      await running?.catch(() => {});
      throw thrown;
    }
    if (!running) throw new Error('around() has ended without making its call');
    return running;
  };
  return Object.freeze({ ...consumer, handleBatch });
}
