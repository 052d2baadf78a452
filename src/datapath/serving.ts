// Which backends of UDP services answer: a socket that is bound to another one waits for nobody.
import { familyOf } from '../model/address.js';
import type { CompiledService } from './services.js';
import type { SocketPeer } from './types.gen.js';

const UDP = 17;

/** By frontend, backends; both as `address port`. */
export type Serving = ReadonlyMap<string, ReadonlySet<string>>;

/** Services without any backend are left out: what is bound to their last one may as well stay. */
export function listServing(services: readonly CompiledService[]): Serving {
  const serving = new Map<string, ReadonlySet<string>>();
  for (const { frontends, backends } of services) {
    const set = new Set(backends.map(({ address, port }) => textOf(address, port)));
    if (set.size === 0) continue;
    for (const { address, port, protocol } of frontends) {
      if (protocol === UDP) serving.set(textOf(address, port), set);
    }
  }
  return serving;
}

/** Whether a UDP socket's backend is none of its frontend's. `nodeAddress`: who 127.0.0.0/8 is as a frontend. */
export function isStale(serving: Serving, peer: SocketPeer, nodeAddress: string): boolean {
  const { frontend, frontend_port, backend, backend_port } = peer;
  const address = isLoopback(frontend) ? nodeAddress : frontend;
  const backends = serving.get(textOf(address, frontend_port));
  return backends !== undefined && !backends.has(textOf(backend, backend_port));
}

function isLoopback(address: string): boolean {
  return familyOf(address) === 'ipv4' && address.startsWith('127.');
}

function textOf(address: string, port: number): string {
  return `${address} ${port}`;
}
