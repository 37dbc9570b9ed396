/** A message of PostgreSQL's protocol. */
export type Message = { type: string; body: Buffer };

/** Cuts a stream of bytes into messages. The first one that a client sends has no type. */
export class MessageStream {
  #rest: Buffer = Buffer.alloc(0);
  #isStart: boolean;

  constructor(side: 'client' | 'server') {
    this.#isStart = side === 'client';
  }

  /** The messages completed by this chunk. */
  push(chunk: Buffer): Message[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Message[] = [];
    for (;;) {
      const typeBytes = this.#isStart ? 0 : 1;
      if (this.#rest.length < typeBytes + 4) return messages;
      const end = typeBytes + this.#rest.readInt32BE(typeBytes);
      if (this.#rest.length < end) return messages;
      const type = this.#isStart ? '' : this.#rest.toString('latin1', 0, 1);
      messages.push({ type, body: this.#rest.subarray(typeBytes + 4, end) });
      this.#rest = this.#rest.subarray(end);
      this.#isStart = false;
    }
  }
}

/**
 * Detects when a client requests a commit: by the statement COMMIT, or by a writing statement
 * outside a transaction.
 */
export class CommitWatch {
  readonly #fromClient = new MessageStream('client');
  readonly #fromServer = new MessageStream('server');
  readonly #statements = new Map<string, string>();
  #isInTransaction = false;
  #isWriting = false;

  /** Whether the chunk ends a message that starts a commit. */
  sent(chunk: Buffer): boolean {
    let isCommitting = false;
    for (const message of this.#fromClient.push(chunk)) {
      if (this.#commits(message)) isCommitting = true;
    }
    return isCommitting;
  }

  /** Learns from the server's answers whether a transaction is open. */
  answered(chunk: Buffer): void {
    for (const { type, body } of this.#fromServer.push(chunk)) {
      if (type === READY) this.#isInTransaction = body.toString('latin1', 0, 1) !== IDLE;
    }
  }

  #commits({ type, body }: Message): boolean {
    const [first = '', second = ''] = body.toString('utf8').split('\0', 2);
    if (type === QUERY) return /^\s*commit\b/i.test(first);
    if (type === PARSE) this.#statements.set(first, second);
    if (type === BIND && WRITES.test(this.#statements.get(second) ?? '')) this.#isWriting = true;
    if (type !== SYNC) return false;
    const isCommit = this.#isWriting && !this.#isInTransaction;
    this.#isWriting = false;
    return isCommit;
  }
}

const [QUERY, PARSE, BIND, SYNC] = ['Q', 'P', 'B', 'S'];
const [READY, IDLE] = ['Z', 'I'];
const WRITES = /\b(insert|update|delete|smart_notify)\b/i;
