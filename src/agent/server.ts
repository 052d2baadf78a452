// Serves the API of src/api/protocol.ts on the agent's unix socket.
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createConnection } from 'node:net';
import type { AgentState, AgentStatus, ServiceExplanation } from '../api/protocol.js';
import { CNI_CODES, CniError, type CniRequest } from './cni.js';

export interface Handlers {
  /** Both throw while nothing is in force. */
  status(): AgentStatus;
  state(): AgentState;
  /** undefined when no such Service is in force. */
  service?(namespace: string, name: string): ServiceExplanation | undefined;
  /** Resolves with what the plugin prints; rejects with CniError. */
  cni(request: CniRequest): Promise<unknown>;
}

const LARGEST_BODY = 1024 * 1024;

/** Another agent serves this socket. */
export class SocketInUseError extends Error {
  readonly code = 'ERR_SOCKET_IN_USE';
}

/** Takes over the socket of an agent that is gone, never of one that lives. Throws SocketInUseError. */
export async function serve(path: string, handlers: Handlers): Promise<Server> {
  if (await answers(path)) {
    throw new SocketInUseError(`another agent serves ${path}; nothing was changed; stop it or choose --state-dir`);
  }
  rmSync(path, { force: true });
  const server = createServer((request, response) => {
    void answer(request, response, handlers);
  });
  await listen(server, path);
  return server;
}

/** Root's alone from its first moment: listen() binds before it returns. */
async function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const mask = process.umask(0o177);
  try {
    server.once('error', reject).listen(path, resolve);
  } finally {
    process.umask(mask);
  }
  await promise;
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection(path, () => resolve(true)).once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

async function answer(request: IncomingMessage, response: ServerResponse, handlers: Handlers): Promise<void> {
  const route = `${request.method} ${request.url}`;
  try {
    if (route === 'GET /status') return send(response, 200, handlers.status());
    if (route === 'GET /state') return send(response, 200, handlers.state());
    if (route === 'POST /cni') return send(response, 200, await handlers.cni(await readCni(request)));
    const explanation = explain(request, handlers);
    if (explanation !== undefined) return send(response, 200, explanation);
    send(response, 404, { error: `there is no ${route}` });
  } catch (error) {
    const { code, body } = describe(error, request);
    send(response, code, body);
  }
}

const SERVICE_PATH = /^\/services\/([^/]+)\/([^/]+)$/;

function explain({ method, url = '' }: IncomingMessage, handlers: Handlers): ServiceExplanation | undefined {
  const [path, namespace = '', name = ''] = SERVICE_PATH.exec(url) ?? [];
  if (path === undefined || method !== 'GET') return undefined;
  return handlers.service?.(decodeURIComponent(namespace), decodeURIComponent(name));
}

async function readCni(request: IncomingMessage): Promise<CniRequest> {
  const header = (name: string): string => String(request.headers[name] ?? '');
  return {
    command: header('cni-command'),
    containerID: header('cni-containerid'),
    netns: header('cni-netns'),
    interfaceName: header('cni-ifname'),
    args: header('cni-args'),
    config: await readBody(request),
  };
}

/** Reads to the end also what is too large: who is still writing would not see the answer. */
async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= LARGEST_BODY) chunks.push(chunk);
  }
  if (length > LARGEST_BODY) throw new CniError(CNI_CODES.decodeFailure, 'the network configuration is over 1 MiB');
  return Buffer.concat(chunks).toString('utf8');
}

/** Errors of CNI requests have the specification's shape. */
function describe(error: unknown, request: IncomingMessage): { code: number; body: unknown } {
  const { message } = error as Error;
  if (request.url !== '/cni') return { code: 500, body: { error: message } };
  const cni = error instanceof CniError ? error : new CniError(CNI_CODES.ioFailure, message);
  return { code: 400, body: { cniVersion: '1.1.0', code: cni.code, msg: cni.message, details: cni.details } };
}

/** What has no body prints nothing, as DEL and CHECK must. */
function send(response: ServerResponse, code: number, body: unknown): void {
  const text = body === undefined ? '' : `${JSON.stringify(body)}\n`;
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
