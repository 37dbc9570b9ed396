/** The public door pgwatch/testing: tests of one's own consumers, and of code that publishes. */
export type { Drained, FailedAttempt } from './testing/drained.ts';
export { fakeContext, fakeNotification } from './testing/fakes.ts';
export { type TestDatabase, testDatabase } from './testing/test-database.ts';
export type { TestPgwatchOptions } from './testing/test-options.ts';
export { TestPgwatch, type TestPgwatchOn } from './testing/test-pgwatch.ts';
export { waitFor } from './testing/wait-for.ts';
