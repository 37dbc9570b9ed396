import { crc32 } from 'node:zlib';
import { type Random, seededRandom } from '../../racing/random.ts';
import { makeDeck } from '../deck.ts';

/**
 * How a process runs its consumers: as "pgwatch listen" does; as a program that passes them to
 * listen(); or as one that takes deliveries from loops over subscribe().
 */
export type Door = 'daemon' | 'listen' | 'subscribe';

/** The door of all processes of a world; mixed: each process takes another one. */
export type WorldDoor = Door | 'mixed';

export const WORLD_DOORS: readonly WorldDoor[] = ['daemon', 'listen', 'subscribe', 'mixed'];

/** The door of an experiment's world with that seed. */
export function drawDoor(experiment: string, seed: number): WorldDoor {
  // The experiments of a campaign have the same seed, but not the same door.
  const random = seededRandom(crc32(experiment, seed >>> 0));
  return WORLD_DOORS[Math.floor(random() * WORLD_DOORS.length)] as WorldDoor;
}

/** Deals a door to each process of a world. */
export function dealDoors(door: WorldDoor, random: Random): () => Door {
  return makeDeck(random, door === 'mixed' ? ['daemon', 'listen', 'subscribe'] : [door]);
}
