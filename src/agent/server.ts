// Serves the API of src/api/protocol.ts on the agent's unix socket.
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createConnection } from 'node:net';
import type { AgentState, AgentStatus, ServiceExplanation } from '../api/protocol.js';
import { CNI_CODES, CniError, type CniRequest } from './cni.js';
import { answerVersion, NEWEST_VERSION } from './cni-error.js';
import { Delegation } from './delegation.js';

export interface Handlers {
  /** Both throw while nothing is in force. */
  status(): AgentStatus;
  state(): AgentState;
  /** undefined when no such Service is in force. */
  service?(namespace: string, name: string): ServiceExplanation | undefined;
  /** Resolves with what the plugin prints, or with the plugin that it has to run first; rejects with CniError. */
  cni(request: CniRequest): Promise<unknown>;
}

/** A configuration and what an IPAM plugin says. */
const LARGEST_BODY = 2 * 1024 * 1024;

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
    if (route === 'POST /cni') return await answerCni(request, response, handlers);
    const explanation = explain(request, handlers);
    if (explanation !== undefined) return send(response, 200, explanation);
    send(response, 404, { error: `there is no ${route}` });
  } catch (error) {
    send(response, 500, { error: (error as Error).message });
  }
}

/** Errors have the specification's shape. */
async function answerCni(request: IncomingMessage, response: ServerResponse, handlers: Handlers): Promise<void> {
  let cniVersion: string = NEWEST_VERSION;
  try {
    const asked = await readCni(request);
    cniVersion = answerVersion(asked.config);
    const answer = await handlers.cni(asked);
    if (!(answer instanceof Delegation)) return send(response, 200, answer);
    response.setHeader(DELEGATE_HEADER, `${answer.command} ${answer.type}`);
    send(response, 202, undefined);
  } catch (error) {
    const cni = error instanceof CniError ? error : new CniError(CNI_CODES.ioFailure, (error as Error).message);
    send(response, 400, { cniVersion, code: cni.code, msg: cni.message, details: cni.details });
  }
}

/** With status 202: which plugin the shim has to run before it asks again. */
const DELEGATE_HEADER = 'cni-delegate';
/** With the second request: exit status of that plugin, and how many bytes of the body, the last ones, it printed. */
const IPAM_STATUS_HEADER = 'cni-ipam-status';
const IPAM_LENGTH_HEADER = 'cni-ipam-length';

const SERVICE_PATH = /^\/services\/([^/]+)\/([^/]+)$/;

function explain({ method, url = '' }: IncomingMessage, handlers: Handlers): ServiceExplanation | undefined {
  const [path, namespace = '', name = ''] = SERVICE_PATH.exec(url) ?? [];
  if (path === undefined || method !== 'GET') return undefined;
  return handlers.service?.(decodeURIComponent(namespace), decodeURIComponent(name));
}

async function readCni(request: IncomingMessage): Promise<CniRequest> {
  const header = (name: string): string => String(request.headers[name] ?? '');
  const body = await readBody(request);
  const configLength = body.length - Number(header(IPAM_LENGTH_HEADER));
  const output = body.subarray(configLength).toString('utf8');
  const ipam = { status: Number(header(IPAM_STATUS_HEADER)), output };
  return {
    command: header('cni-command'),
    containerID: header('cni-containerid'),
    netns: header('cni-netns'),
    interfaceName: header('cni-ifname'),
    args: header('cni-args'),
    config: body.subarray(0, configLength).toString('utf8'),
    ...(header(IPAM_STATUS_HEADER) === '' ? {} : { ipam }),
  };
}

/** Reads to the end also what is too large: who is still writing would not see the answer. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= LARGEST_BODY) chunks.push(chunk);
  }
  if (length > LARGEST_BODY) throw new CniError(CNI_CODES.decodeFailure, 'the request is over 2 MiB');
  return Buffer.concat(chunks);
}

/** What has no body prints nothing, as DEL and CHECK must. */
function send(response: ServerResponse, code: number, body: unknown): void {
  const text = body === undefined ? '' : `${JSON.stringify(body)}\n`;
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
