import { configDefaults, defineConfig } from 'vitest/config';
import root from '../../vitest.config.ts';

export default defineConfig({
  test: {
    ...root.test,
    include: ['test/examples/*.test.ts'],
    exclude: configDefaults.exclude,
    // Each starts one or two services.
    testTimeout: 120_000,
  },
});
