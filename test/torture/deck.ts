import type { Random } from '../racing/random.ts';

/** Deals the items in random order, and again once all were dealt, so none is left out for long. */
export function makeDeck<Item>(random: Random, items: readonly Item[]): () => Item {
  let left: Item[] = [];
  return () => {
    if (left.length === 0) left = [...items];
    return left.splice(Math.floor(random() * left.length), 1)[0] as Item;
  };
}
