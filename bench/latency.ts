/*
How long a sleeping daemon takes from commit to handler:  npm run bench -- latency [COUNT]
It measures from two moments: from the publisher's answer, when the commit is visible outside, and
from sending the statement, which gives an upper bound.
*/
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { checkConsumer } from '../src/consumers/check.ts';
import { Daemon } from '../src/daemon/daemon.ts';
import { StreamReporter } from '../src/reporter.ts';
import { subscribeTransitions } from '../src/transitions.ts';
import { withServer } from './server.ts';

const [count = 1000] = process.argv.slice(2).map(Number);
await withServer(async (config) => {
  let onHandled = () => {};
  const consumer = checkConsumer(
    { id: 'c', channels: ['c'], handle: () => onHandled() },
    '/consumers/c.ts',
    '/consumers',
  );
  const asleep = new Promise<void>((resolve) => {
    subscribeTransitions(({ type }) => type === 'asleep' && resolve());
  });
  const stop = new AbortController();
  const daemon = new Daemon({
    config,
    consumers: [consumer],
    reporter: new StreamReporter({ level: 'error' }),
  });
  const ended = daemon.run(stop.signal);
  await asleep;
  const publisher = new Client({ connectionString: config.url ?? '' });
  await publisher.connect();
  const [fromSend, fromAnswer]: number[][] = [[], []];
  for (let n = 0; n < count; n++) {
    const handled = new Promise<number>((resolve) => {
      onHandled = () => resolve(performance.now());
    });
    const sentAt = performance.now();
    await publisher.query({ name: 'p', text: `select smart_notify('c', '1')` });
    const answeredAt = performance.now();
    const handledAt = await handled;
    fromSend?.push(handledAt - sentAt);
    fromAnswer?.push(handledAt - answeredAt);
    await delay(10 + Math.random() * 20);
  }
  const at = (values: number[] = [], share: number) =>
    (values.sort((a, b) => a - b)[Math.floor(values.length * share)] ?? 0).toFixed(2);
  for (const [name, values] of Object.entries({ fromSend, fromAnswer })) {
    console.log(`${name}: median ${at(values, 0.5)} ms, p99 ${at(values, 0.99)} ms`);
  }
  await publisher.end();
  stop.abort();
  await ended;
});
