import { defineConfig } from 'vitest/config';
import { SETTINGS } from '../../vitest.config.ts';

export default defineConfig({
  test: {
    ...SETTINGS,
    include: ['test/examples/*.test.ts'],
    // Each starts one or two services.
    testTimeout: 120_000,
  },
});
