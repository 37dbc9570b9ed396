/** The public door pgwatch/testing: tests of one's own consumers, and of code that publishes. */
export { fakeContext, fakeNotification } from './testing/fakes.ts';
export type { FailedAttempt } from './testing/recording.ts';
export { type TestDatabase, testDatabase } from './testing/test-database.ts';
export { type Drained, TestPgwatch } from './testing/test-pgwatch.ts';
export { waitFor } from './testing/wait-for.ts';
