import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/database/connect.ts';

/** An authentication message as sent by a server. */
function authentication(kind: number, text: string): Buffer {
  const message = Buffer.alloc(9 + text.length);
  message.write('R');
  message.writeInt32BE(8 + text.length, 1);
  message.writeInt32BE(kind, 5);
  message.write(text, 9);
  return message;
}

/** A server that asks for this many hashing iterations before it has proven its identity. */
async function startHostile(iterations: number): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(authentication(10, 'SCRAM-SHA-256\0\0'));
      socket.once('data', (answer) => {
        const nonce = /r=(.*)$/.exec(answer.toString('latin1'))?.[1];
        socket.write(authentication(11, `r=${nonce}server,s=c2FsdA==,i=${iterations}`));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `postgres://me:secret@127.0.0.1:${(server.address() as AddressInfo).port}/db`;
}

test('a server that asks for a billion hashing iterations is refused at once', async () => {
  const url = await startHostile(1e9);
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  const startedAt = performance.now();
  await expect(connect({ url })).rejects.toMatchObject({
    code: 'connection_failed',
    message: expect.stringContaining('iteration count 1000000000 exceeds'),
  });
  delays.disable();
  console.log(
    `refused in ${Math.round(performance.now() - startedAt)} ms, ` +
      `longest pause ${Math.round(delays.max / 1e6)} ms`,
  );
  expect(performance.now() - startedAt).toBeLessThan(5000);
  expect(delays.max / 1e6).toBeLessThan(1000);
});
