import { AsyncLocalStorage } from 'node:async_hooks';

/** The transaction of a handler, visible to the functions that the handler calls. */
type Scope = { owns(connection: unknown): boolean; onOutside(): void };

const scopes = new AsyncLocalStorage<Scope>();

/** Runs the work, and notices if it uses a connection outside the transaction. */
export function withinScope<T>(scope: Scope, work: () => T): T {
  return scopes.run(scope, work);
}

/** Records that a connection is about to be used. */
export function noteConnection(connection: unknown): void {
  const scope = scopes.getStore();
  if (scope && !scope.owns(connection)) scope.onOutside();
}
