// The client of the agent's unix socket: one HTTP request, typed by protocol.ts, always with a deadline.
import { type IncomingMessage, request } from 'node:http';
import type { AgentState, AgentStatus, ServiceExplanation } from './protocol.js';

export type AgentErrorCode = 'ERR_AGENT_DOWN' | 'ERR_AGENT_PERMISSION' | 'ERR_AGENT_TIMEOUT' | 'ERR_AGENT_RESPONSE';

/** The agent could not be asked: nobody listens, no permission, no answer in time, or an answer that is not one. */
export class AgentError extends Error {
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface AgentClientOptions {
  /** Milliseconds for a whole request; 2000 when absent. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** What a reader may ask. Every call rejects with AgentError. */
export interface AgentClient {
  readonly socketPath: string;
  status(): Promise<AgentStatus>;
  state(): Promise<AgentState>;
  service(namespace: string, name: string): Promise<ServiceExplanation>;
}

const DEFAULT_TIMEOUT = 2000;
const LONGEST_ANSWER = 64 * 1024 * 1024;

/** Opens nothing: each call makes its own connection, so the client outlives a restart of the agent. */
export function createAgentClient(socketPath: string, options: AgentClientOptions = {}): AgentClient {
  return {
    socketPath,
    status: async () => (await getJson(socketPath, '/status', options)) as AgentStatus,
    state: async () => (await getJson(socketPath, '/state', options)) as AgentState,
    service: async (namespace, name) => {
      const path = `/services/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
      return (await getJson(socketPath, path, options)) as ServiceExplanation;
    },
  };
}

async function getJson(socketPath: string, path: string, options: AgentClientOptions): Promise<unknown> {
  const timeout = options.timeout ?? DEFAULT_TIMEOUT;
  const deadline = AbortSignal.timeout(timeout);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  try {
    const response = await get(socketPath, path, signal);
    return parse(response.statusCode ?? 0, await readBody(response), `${socketPath} ${path}`);
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    if (deadline.aborted) throw new AgentError('ERR_AGENT_TIMEOUT', hangs(socketPath, path, timeout), { cause });
    options.signal?.throwIfAborted();
    throw connectionError(socketPath, cause);
  }
}

function get(socketPath: string, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request({ socketPath, path, method: 'GET', signal, agent: false, headers: { host: 'isthmus' } }, resolve)
    .on('error', reject)
    .end();
  return promise;
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length > LONGEST_ANSWER) throw new AgentError('ERR_AGENT_RESPONSE', 'the agent answers with more than 64 MiB');
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(status: number, body: string, what: string): unknown {
  if (status !== 200) {
    throw new AgentError(
      'ERR_AGENT_RESPONSE',
      `${what}: the agent answers with status ${status}: ${body.slice(0, 200)}`,
    );
  }
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new AgentError('ERR_AGENT_RESPONSE', `${what}: the agent's answer is not JSON`, { cause });
  }
}

function hangs(socketPath: string, path: string, timeout: number): string {
  return `the agent at ${socketPath} accepts connections but does not answer GET ${path} within ${timeout} ms`;
}

function connectionError(socketPath: string, cause: unknown): AgentError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  if (code === 'EACCES' || code === 'EPERM') {
    return new AgentError('ERR_AGENT_PERMISSION', `no permission to use the agent's socket ${socketPath}`, { cause });
  }
  const why = REASONS[code] ?? (cause as Error).message;
  return new AgentError('ERR_AGENT_DOWN', `no agent answers at ${socketPath}: ${why}`, { cause });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'the socket does not exist',
  ECONNREFUSED: 'nobody listens on the socket',
  ECONNRESET: 'the agent closed the connection',
};
