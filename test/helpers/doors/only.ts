import { inject, test } from 'vitest';

/** Why a test runs only through files. */
type OnlyFiles =
  // No consumer runs in it, or the daemon gets a part that a program cannot replace.
  | 'it tests parts of the daemon'
  // What is reported about new and renamed files.
  | 'it is about consumer files'
  | 'it measures writers';

/** Why a test runs only through files and listen(): a loop over subscribe() is different. */
type OnlyHandlers =
  | 'subscribe() has no once'
  // It counts as a process: it reads, listens and reports by itself, and is not passed on to other
  // processes together with other subscriptions.
  | 'each subscription has an engine of its own'
  // A handler has half a second, in which its outcome counts.
  | 'a delivery cannot be settled once its signal has aborted'
  // So writes over another connection than its transaction's cannot be noticed.
  | 'a loop does not run within a call';

/**
 * A test that runs only through files.
 * @param isPossible another condition
 */
export const filesOnly = (why: OnlyFiles, isPossible = true) =>
  testIf(inject('door') === 'files', why, isPossible);

/** A test that runs through files and listen(). See filesOnly(). */
export const handlersOnly = (why: OnlyHandlers, isPossible = true) =>
  testIf(inject('door') !== 'subscribe', why, isPossible);

function testIf(isRightDoor: boolean, why: string, isPossible: boolean) {
  if (!isRightDoor)
    console.warn(`SKIPPED through ${inject('door')}: tests of this file, because ${why}.`);
  return test.runIf(isRightDoor && isPossible);
}
