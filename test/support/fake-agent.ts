// An agent that is only its socket: answers GET requests of the unix socket with what a test wants.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentState, type AgentStatus, ENDPOINTS_NAME, SOCKET_NAME, STATE_NAME } from '../../src/api/protocol.js';
import type { Endpoint } from '../../src/model/endpoint.js';

/** A state directory that vanishes at the end of its scope. */
export interface StateDir extends Disposable {
  readonly path: string;
  writeState(state: AgentState): void;
  writeEndpoint(endpoint: Endpoint): void;
  /** Makes a file where a pinned map would be, and returns the directory of the pins. */
  pinFakeMap(name: string): string;
}

export function createStateDir(): StateDir {
  const path = mkdtempSync(join(tmpdir(), 'ist-state-'));
  mkdirSync(join(path, ENDPOINTS_NAME));
  return {
    path,
    writeState: (state) => writeFileSync(join(path, STATE_NAME), JSON.stringify(state)),
    writeEndpoint: (endpoint) => {
      const name = `${endpoint.containerID}-${endpoint.interfaceName}.json`;
      writeFileSync(join(path, ENDPOINTS_NAME, name), JSON.stringify(endpoint));
    },
    pinFakeMap: (name) => {
      mkdirSync(join(path, 'bpf'), { recursive: true });
      writeFileSync(join(path, 'bpf', name), '');
      return join(path, 'bpf');
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Listens on the socket of a state directory until it is disposed. */
export async function startFakeAgent(stateDir: string, listener: RequestListener): Promise<AsyncDisposable> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(join(stateDir, SOCKET_NAME), resolve);
  });
  return {
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Answers every request with this status. */
export function answering(status: AgentStatus): RequestListener {
  return (request, response) => {
    const body = request.url === '/state' ? status.state : status;
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  };
}

export function agentState(changes: Partial<AgentState> = {}): AgentState {
  return {
    apiVersion: 'isthmus.dev/v1',
    kind: 'AgentState',
    version: '0.1.0',
    node: 'n1',
    clusterID: 'a',
    modes: { ipv4: 'Island', ipv6: 'Flat' },
    bpffs: '/nonexistent/bpf',
    uplink: { name: 'uplink', ifindex: 2, mtu: 1500 },
    natPorts: { first: 36864, last: 65535 },
    blockSize: 256,
    services: [],
    attachments: [{ program: 'from_netdev', target: 'uplink', kind: 'tcx' }],
    sourceHash: 'abc',
    problems: [],
    settings: [],
    updated: '2026-11-21T12:00:00.000Z',
    ...changes,
  };
}

export function agentStatus(state: AgentState, changes: Partial<AgentStatus> = {}): AgentStatus {
  return {
    state,
    pid: 4711,
    started: '2026-11-21T11:00:00.000Z',
    rssBytes: 64_000_000,
    endpoints: [],
    source: { kind: 'directory', where: '/etc/isthmus/manifests', synced: true },
    ...changes,
  };
}
