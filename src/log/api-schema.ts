import { PgwatchError } from '../errors.ts';

/** The schemas in which tests that are running have smart_notify. */
const ofTests = new Set<string>();

/**
 * The schema of smart_notify, if the publisher names none: 'public', or that of the test which is
 * running. So code publishes for the test without knowing of it.
 * @throws PgwatchError input_invalid if several tests are running
 */
export function usualApiSchema(): string {
  if (ofTests.size === 0) return 'public';
  const [only = 'public', ...others] = ofTests;
  if (others.length === 0) return only;
  throw new PgwatchError(
    'input_invalid',
    `${ofTests.size} TestPgwatch are open in this process, so it is not known for which of them ` +
      'this is published. Close each at the end of its test, or pass apiSchema, which is in its ' +
      'options.',
  );
}

/**
 * Lets publishers that name no schema publish to this one, while a test runs.
 * @returns ends that
 */
export function takeForTest(apiSchema: string): () => void {
  ofTests.add(apiSchema);
  return () => ofTests.delete(apiSchema);
}
