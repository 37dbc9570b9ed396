import { expect, test } from 'vitest';
import { seededRandom } from '../racing/random.ts';
import { dealDoors, drawDoor, WORLD_DOORS } from './daemons/doors.ts';
import { EXPERIMENTS } from './experiments.ts';

test('a seed decides the door of each experiment, and not the same one for all', () => {
  const draw = () => EXPERIMENTS.map(({ name }) => drawDoor(name, 1));
  expect(draw()).toEqual(draw());
  expect(new Set(draw())).toEqual(new Set(WORLD_DOORS));
});

test('in a mixed world, each of three processes takes another door', () => {
  const deal = dealDoors('mixed', seededRandom(1));
  expect([deal(), deal(), deal()].sort()).toEqual(['daemon', 'listen', 'subscribe']);
});
