import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Cli, runCli, startCli } from '../helpers/cli.ts';
import { until } from '../helpers/wait.ts';

/** An example that runs as a process. */
export type Running = {
  process: Cli;
  /** Places an order over HTTP; false if that fails. */
  post(item: string): Promise<boolean>;
  /** Places an order with a program beside it; false if that fails. */
  order(item: string): Promise<boolean>;
  /** The items that GET /orders returns, sorted. */
  list(): Promise<string[]>;
  isHealthy(): Promise<boolean>;
  isListening(): Promise<boolean>;
};

/** Starts an example as its package.json does, and waits until it is healthy. */
export async function startExample(
  name: string,
  settings: Record<'DATABASE_URL' | 'MAIL_URL', string>,
): Promise<Running> {
  const cwd = fileURLToPath(new URL(name, EXAMPLES));
  const port = await freePort();
  const PATH = `${cwd}/node_modules/.bin:${process.env.PATH}`;
  const env = { ...settings, PORT: String(port), PATH };
  const { scripts } = JSON.parse(readExample(`${name}/package.json`)) as Package;
  // Without npm and a shell in between, which do not forward signals.
  const started = startCli([`exec env ${scripts.start}`], { cwd, env, command: ['sh', '-c'] });
  const at = (path: string, options?: RequestInit) =>
    fetch(`http://127.0.0.1:${port}${path}`, options);
  const running: Running = {
    process: started,
    async post(item) {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ item });
      return (await at('/orders', { method: 'POST', headers, body })).ok;
    },
    async order(item) {
      const command = ['sh', '-c'] as const;
      const result = await runCli([`exec env ${scripts.order} ${item}`], { cwd, env, command });
      return result.exitCode === 0;
    },
    async list() {
      const orders = (await (await at('/orders')).json()) as { item: string }[];
      return orders.map(({ item }) => item).sort();
    },
    isHealthy: async () => (await at('/health')).ok,
    isListening: () => canConnect(port),
  };
  const isUp = () => running.isHealthy().catch(() => started.stdout + started.stderr);
  await until(`${name} is healthy`, isUp, START_MS_MAX);
  return running;
}

/** A file of examples/. */
export function readExample(path: string): string {
  return readFileSync(new URL(path, EXAMPLES), 'utf8');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Not by a request, whose connection would keep a server open that is being closed. */
async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

type Package = { scripts: { start: string; order?: string } };

const EXAMPLES = new URL('../../examples/', import.meta.url);
const START_MS_MAX = 60_000;
