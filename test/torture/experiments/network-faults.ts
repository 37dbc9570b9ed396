import { ASKING, EXACT } from '../consumers.ts';
import type { ConsumerSetup } from '../daemons/setup.ts';
import { makeDeck } from '../deck.ts';
import type { Experiment } from '../experiment.ts';
import { repeatedly, underLoad } from '../load.ts';
import { WITHOUT_CATCH_UP } from '../mutations.ts';
import type { Link } from '../network/link.ts';
import type { World } from '../world.ts';

const KINDS = ['swallowed', 'reset', 'half-closed', 'dripping'] as const;
type Kind = (typeof KINDS)[number];

/** The network swallows, resets, half-closes and drips, for the writers and for the daemon. */
export const networkFaults: Experiment = {
  name: 'network-faults',
  async run(world) {
    const daemons = await world.openNetwork();
    const writers = await world.openNetwork();
    const [deal, dealToWriters] = [makeDeck(world.random, KINDS), makeDeck(world.random, KINDS)];
    await underLoad(world, {
      consumers: [ASKING, EXACT].map(impatient),
      daemon: () => ({ url: daemons.url }),
      writers: { url: writers.url },
      async harm(signal) {
        await repeatedly(world, [100, 400], signal, () => {
          const isWriters = world.random() < 0.3;
          const links = (isWriters ? writers : daemons).links(
            world.random() < 0.5 ? 'all' : 'half',
          );
          harm(world, links, isWriters ? dealToWriters() : deal());
        });
        // The silent fault comes last: nothing that follows helps to notice it.
        for (const network of [writers, daemons]) harm(world, network.links('all'), 'swallowed');
      },
    });
  },
  mutants: {
    'no heartbeat': {
      config: { heartbeatInterval: '1h', heartbeatDeadline: '1h' },
      shows: ['lost'],
    },
    ...WITHOUT_CATCH_UP,
  },
};

/**
 * A query that gets no answer ends with its call. At most half of the connections may be swallowed.
 */
function impatient(consumer: ConsumerSetup): ConsumerSetup {
  return { ...consumer, options: { ...consumer.options, timeout: '3s' } };
}

function harm(world: World, links: Link[], kind: Kind): void {
  for (const link of links) {
    if (kind === 'swallowed') link.swallow();
    if (kind === 'reset') link.reset();
    if (kind === 'half-closed') link.halfClose(world.random() < 0.5 ? 'client' : 'server');
    if (kind === 'dripping') link.drip(200 + world.random() * 800);
  }
  world.count(`connection ${kind}`, links.length);
}
