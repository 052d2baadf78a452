// Finds the instances of the dataplane on this machine, alive or not: the agent's answer, else what it left on disk.
import { access, glob, readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Endpoint } from '../model/endpoint.js';
import { AgentError, createAgentClient } from './client.js';
import {
  type AgentState,
  type AgentStatus,
  DEFAULT_STATE_DIR,
  ENDPOINTS_NAME,
  SOCKET_NAME,
  STATE_NAME,
} from './protocol.js';

/** One node's dataplane, as the agent tells it or as its state directory does. */
export interface Instance {
  readonly node: string;
  readonly stateDir: string;
  readonly state: AgentState;
  readonly endpoints: readonly Endpoint[];
  /** Absent when the agent is down; then `agentError` says why. */
  readonly status?: AgentStatus;
  readonly agentError?: AgentError;
}

/** The state directory holds nothing that can be used. */
export class StateError extends Error {
  readonly code: 'ERR_STATE_MISSING' | 'ERR_STATE_INVALID' | 'ERR_STATE_PERMISSION';

  constructor(code: StateError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The state directories to read: the given one; else the default when it is in use; else every node of the lab.
 * Empty when there is none.
 */
export async function findStateDirs(stateDir?: string, root: string = DEFAULT_STATE_DIR): Promise<string[]> {
  if (stateDir !== undefined) return [stateDir];
  if (await exists(join(root, STATE_NAME))) return [root];
  const found: string[] = [];
  for await (const path of glob(join(root, 'lab', '*', STATE_NAME))) found.push(path.slice(0, -STATE_NAME.length - 1));
  return found.sort();
}

/** Asks the agent of a state directory, and reads the directory when it does not answer. Throws StateError. */
export async function openInstance(stateDir: string, timeout?: number): Promise<Instance> {
  const client = createAgentClient(join(stateDir, SOCKET_NAME), timeout === undefined ? {} : { timeout });
  try {
    const status = await client.status();
    return { node: status.state.node, stateDir, state: status.state, endpoints: status.endpoints, status };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const state = await readState(stateDir, error);
    return { node: state.node, stateDir, state, endpoints: await readEndpoints(stateDir), agentError: error };
  }
}

async function readState(stateDir: string, agentError: AgentError): Promise<AgentState> {
  const path = join(stateDir, STATE_NAME);
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(path, cause, agentError);
  });
  const state = parseRecord(path, text) as Partial<AgentState>;
  if (state.apiVersion === 'isthmus.dev/v1' && state.kind === 'AgentState') return state as AgentState;
  throw new StateError(
    'ERR_STATE_INVALID',
    `${path} is not an AgentState of isthmus.dev/v1, and ${agentError.message}`,
  );
}

/** Records of the pods, in order of namespace and name; a file that vanishes while reading is a pod that is gone. */
async function readEndpoints(stateDir: string): Promise<Endpoint[]> {
  const directory = join(stateDir, ENDPOINTS_NAME);
  const names = await readdir(directory).catch(whenMissing<string[]>([]));
  const records = await Promise.all(
    names.filter((name) => name.endsWith('.json')).map((name) => readEndpoint(join(directory, name))),
  );
  return records
    .filter((record) => record !== undefined)
    .sort((a, b) => `${a.namespace}/${a.pod}`.localeCompare(`${b.namespace}/${b.pod}`));
}

async function readEndpoint(path: string): Promise<Endpoint | undefined> {
  const text = await readFile(path, 'utf8').catch(whenMissing<undefined>(undefined));
  return text === undefined ? undefined : (parseRecord(path, text) as Endpoint);
}

function parseRecord(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StateError('ERR_STATE_INVALID', `${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException, agentError: AgentError): StateError {
  const denied = cause.code === 'EACCES' || agentError.code === 'ERR_AGENT_PERMISSION';
  const why = cause.code === 'ENOENT' ? 'does not exist' : cause.message;
  const name = denied ? 'ERR_STATE_PERMISSION' : 'ERR_STATE_MISSING';
  return new StateError(name, `${agentError.message}, and ${basename(path)} beside it ${why}`, { cause });
}

function whenMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    const name = error.code === 'EACCES' ? 'ERR_STATE_PERMISSION' : 'ERR_STATE_INVALID';
    throw new StateError(name, `cannot read ${error.path}: ${error.message}`, { cause: error });
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'EACCES',
  );
}
