import { AsyncLocalStorage } from 'node:async_hooks';

/** The transaction that a handler is given, for what it calls to see. */
type Scope = { owns(connection: unknown): boolean; onOutside(): void };

const scopes = new AsyncLocalStorage<Scope>();

/** Runs the work so that what it does over another connection of ours is noticed. */
export function withinScope<T>(scope: Scope, work: () => T): T {
  return scopes.run(scope, work);
}

/** Says that something is about to be done over a connection. */
export function noteConnection(connection: unknown): void {
  const scope = scopes.getStore();
  if (scope && !scope.owns(connection)) scope.onOutside();
}
