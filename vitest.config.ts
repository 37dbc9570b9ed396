import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // They need packages of their own: npm run test:orms, npm run test:examples.
    exclude: [...configDefaults.exclude, 'test/orms/**', 'test/examples/**'],
    globalSetup: ['test/helpers/global-setup.ts'],
    setupFiles: ['test/helpers/put-back.ts'],
    // Each file has a database of its own; two at a time is what two cores can carry.
    maxWorkers: 2,
    // A process for each file costs more than most files take.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
