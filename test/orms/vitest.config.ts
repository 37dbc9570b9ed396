import { configDefaults, defineConfig } from 'vitest/config';
import root from '../../vitest.config.ts';

export default defineConfig({
  test: { ...root.test, include: ['test/orms/*.test.ts'], exclude: configDefaults.exclude },
});
