/** Whether all tests run, as in `npm run test:whole` and CI; `npm test` skips the slow ones. */
export const isWhole = Boolean(process.env.PGWATCH_TEST_WHOLE);

// In the environment, so it is the same in all processes of a run.
process.env.PGWATCH_TEST_SHARE ??= String(Math.floor(Math.random() * 3));

/** Which third of similar cases runs if not all do: 0, 1 or 2. */
export const share = Number(process.env.PGWATCH_TEST_SHARE);
