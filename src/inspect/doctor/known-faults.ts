/** A bug of PostgreSQL that affects pgwatch. */
export type KnownFault = {
  /** The first minor release without it, by major. Majors that are not listed never had it. */
  fixedIn: Readonly<Record<number, number>>;
  level: 'problem' | 'note';
  what: string;
  fix?: string;
};

/*
From PostgreSQL's release notes. A bug for which only the notes of one major were read is listed for
that major alone, although others may have it.

14.4 (2022-06-16)            "Prevent possible corruption of indexes created or rebuilt with the
                             CONCURRENTLY option"
14.8, 15.3 (2023-05-11)      "Fix data corruption due to vacuum_defer_cleanup_age being larger than
                             the current 64-bit xid"; the setting is gone in 16
15.16 (2026-02-12)           "Fix trigger transition table capture for MERGE in CTE queries"
14.21, 15.16, 16.12, 17.8,   "Prevent truncation of CLOG that is still needed by unread NOTIFY
18.2 (2026-02-12)            messages", "Escalate errors occurring during NOTIFY message processing
                             to FATAL"
15.20 (2026-11-12)           "Avoid inserting the wrong tuple into a trigger transition table in a
                             MERGE that does an INSERT followed by an UPDATE"
*/
export const KNOWN_FAULTS: readonly KnownFault[] = [
  {
    fixedIn: { 14: 4 },
    level: 'problem',
    what:
      'CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY ' +
      'can build an index that lacks some rows',
    fix: 'reindex the indexes that were built that way',
  },
  {
    fixedIn: { 14: 8, 15: 3 },
    level: 'problem',
    what: 'VACUUM can remove live rows if vacuum_defer_cleanup_age is set',
  },
  {
    fixedIn: { 14: 21, 15: 16, 16: 12, 17: 8, 18: 2 },
    level: 'note',
    what:
      'LISTEN can fail with "could not access status of transaction" after VACUUM FREEZE, ' +
      'and a session can silently lose a NOTIFY; daemons then wait for their next poll',
  },
  {
    fixedIn: { 15: 16 },
    level: 'note',
    what:
      'if a statement changes a table both by a MERGE in a WITH query and otherwise, ' +
      'statement-level triggers, and so capture, miss the MERGE',
  },
  {
    fixedIn: { 15: 20 },
    level: 'note',
    what:
      'statement-level triggers, and so capture, can see a wrong row ' +
      'in a MERGE that inserts and then updates',
  },
];

/** The known bugs of this version. */
export function faultsOf(major: number, minor: number): (KnownFault & { fixed: string })[] {
  return KNOWN_FAULTS.flatMap((fault) => {
    const first = fault.fixedIn[major];
    return first !== undefined && minor < first ? [{ ...fault, fixed: `${major}.${first}` }] : [];
  });
}
