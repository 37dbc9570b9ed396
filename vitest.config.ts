import { globSync } from 'node:fs';
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import type { Door } from './test/helpers/doors/doors.ts';
import { isWhole, share } from './test/helpers/share.ts';

/** The tests of delivery, which run through each door. */
const DELIVERY = globSync('test/daemon/*.{database,e2e}.test.ts').sort();

/** All of them in a whole run; otherwise a third, for each place another one. */
function someOf(files: readonly string[], place: number): string[] {
  return files.filter((_, index) => isWhole || (index + share + place) % 3 === 0);
}

function project(door: Door, include: string[]): TestProjectInlineConfiguration {
  return { extends: true, test: { name: door, include, provide: { door } } };
}

/** Of all tests, also of those that need packages of their own. */
export const SETTINGS = {
  globalSetup: ['test/helpers/global-setup.ts'],
  setupFiles: ['test/helpers/put-back.ts'],
  // Each file has a database of its own; two at a time is what two cores can carry.
  maxWorkers: 2,
  // A process for each file costs more than most files take.
  isolate: false,
  testTimeout: 30_000,
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    ...SETTINGS,
    projects: [
      project('files', ['test/**/*.test.ts']),
      project('listen', someOf(DELIVERY, 0)),
      project('subscribe', someOf(DELIVERY, 1)),
    ],
    // npm run test:orms, npm run test:examples
    exclude: [...configDefaults.exclude, 'test/orms/**', 'test/examples/**'],
  },
});
