// Pods of this node: what a CNI request does to records, wiring and maps. Whatever is decided by what there is, is carried
// out in the same turn of the event loop; only what waits for the kernel or the maps lets other pods' requests in between.
import type { Logger } from 'pino';
import type { Device } from '../datapath/datapath.js';
import type { Endpoint } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import type { Service } from '../model/service.js';
import { namespaceCookie } from '../net/netns.js';
import type { BlockContext, Blocks } from './blocks.js';
import { type ChainedDevice, findChained } from './chained.js';
import type { CniCall } from './cni.js';
import type { CniResult } from './cni-addresses.js';
import { CNI_CODES, CniError } from './cni-error.js';
import { type Dns, formatResult, hostInterfaceName, randomMac } from './cni-result.js';
import { attachProgram, checkConnection, connect, deviceOf, disconnect, renewConnection } from './connection.js';
import { checkInside, delegationOf, grantOf } from './delegation.js';
import type { EndpointId, EndpointStore } from './endpoint-store.js';
import { ExhaustedError } from './exhausted.js';
import { checkHostPorts } from './host-port-claims.js';
import { allocateAddresses, checkFree } from './ipam.js';
import type { QuietWork } from './quiet-work.js';
import { Turns } from './turns.js';
import type { Wiring } from './wiring.js';

/** What pods are added to. */
export interface Current extends BlockContext {
  readonly node: Node;
  readonly services: ReadonlyMap<string, Service>;
}

export interface PodsOptions {
  readonly store: EndpointStore;
  readonly wiring: Wiring;
  readonly log: Logger;
  /** Waits for requests. */
  readonly quietWork: Pick<QuietWork, 'beside'>;
  /** Which port blocks are free; grants are recorded where they are put in force. */
  readonly blocks: Pick<Blocks, 'plan'>;
  /** Bytes, of every pod's device. */
  readonly mtu: number;
  /** What is in force; undefined before the first good state. */
  readonly current: () => Current | undefined;
  /** Why the maps are not what they should be; empty when they are. */
  readonly fault: () => string;
  /** Brings the maps up to date with the records; rejects when they could not be written. */
  readonly reconcile: () => Promise<void>;
  /** A pod is gone, and so is what others had to do with it. */
  readonly onRemoved: (endpoint: Endpoint) => void;
}

export class Pods {
  readonly #options: PodsOptions;
  readonly #cursors = new Map<string, bigint>();
  readonly #turns = new Turns();

  constructor(options: PodsOptions) {
    this.#options = options;
  }

  /**
   * Resolves with what the plugin prints, or with the plugin that has to be run first. Rejects with CniError; what was
   * begun is undone then. Requests for one attachment are carried out one after the other, others side by side.
   */
  handle(call: CniCall): Promise<unknown> {
    const task = () => this.#handle(call);
    return this.#options.quietWork.beside(() => (concernsOne(call) ? this.#inTurn(call, task) : task()));
  }

  /** Resolves when no request for an attachment is being carried out. */
  idle(): Promise<void> {
    return this.#turns.idle();
  }

  #inTurn<T>({ containerID, interfaceName }: EndpointId, task: () => Promise<T>): Promise<T> {
    return this.#turns.take(`${containerID}/${interfaceName}`, task);
  }

  /**
   * At start: drops the records of pods that went away meanwhile, and takes back what an ADD left that never ended: its
   * runtime was told that it failed. DEL may still come for them, and finds nothing to do.
   */
  async adopt(): Promise<{ adopted: number; gone: readonly Endpoint[] }> {
    const { store, wiring } = this.#options;
    const gone = store.list().filter((endpoint) => this.#isGone(endpoint));
    for (const endpoint of gone) {
      disconnect(wiring, endpoint);
      if (endpoint.ifindex !== 0) await wiring.datapath.removeFlows(endpoint.ifindex);
      store.remove(endpoint);
    }
    return { adopted: store.list().length, gone };
  }

  /** Programs on the pods that are there, or newer ones in place of what an earlier agent attached. */
  attach(): void {
    const { store, wiring } = this.#options;
    for (const endpoint of store.list()) attachProgram(wiring, endpoint);
    for (const endpoint of store.list()) this.#renew(endpoint);
  }

  /** A pod works without it: its streams are slower, or CHECK tells what is missing. */
  #renew(endpoint: Endpoint): void {
    try {
      renewConnection(this.#options.wiring, endpoint);
    } catch (error) {
      this.#options.log.warn({ pod: describe(endpoint), reason: (error as Error).message }, 'wiring not renewed');
    }
  }

  /** The node's side of each pod's veth; of a pod whose device is gone, there is none. */
  devices(): Device[] {
    const { store, wiring } = this.#options;
    return store.list().flatMap((endpoint) => deviceOf(wiring, endpoint) ?? []);
  }

  #isGone(endpoint: Endpoint): boolean {
    if (endpoint.ifindex === 0) return true;
    return deviceOf(this.#options.wiring, endpoint) === undefined && !this.#isNamespace(endpoint.netns);
  }

  #isNamespace(path: string): boolean {
    return namespaceCookie(this.#options.wiring.net, path) !== undefined;
  }

  async #handle(call: CniCall): Promise<unknown> {
    switch (call.command) {
      case 'ADD':
        return this.#add(call);
      case 'DEL':
        return this.#delete(call);
      case 'CHECK':
        return this.#check(call);
      case 'GC':
        return this.#collect(call);
      case 'STATUS':
        return this.#status(call);
    }
  }

  async #add(call: CniCall): Promise<unknown> {
    this.#refuseDuplicate(call);
    this.#requireNamespace(call);
    const current = this.#current();
    checkHostPorts(call.wishes.hostPorts, {
      node: current.node,
      services: current.services.values(),
      endpoints: this.#options.store.list(),
    });
    if (call.previous !== undefined) return this.#addChained(call, current, call.previous);
    const delegation = delegationOf(call);
    if (delegation !== undefined) return delegation;
    const grant = grantOf(call, current.node);
    const given = grant === undefined ? {} : { addresses: grant.addresses };
    const endpoint = await this.#create(call, this.#draft(call, current, given));
    const dns: Dns = { ...grant?.dns, ...call.wishes.dns };
    return formatResult(endpoint, call.cniVersion, dns);
  }

  /** The answer is what the plugins before have said. */
  async #addChained(call: CniCall, current: Current, previous: CniResult): Promise<unknown> {
    const device = findChained(this.#options.wiring, { ...call, previous });
    checkInside(device.addresses, current.node, 'the plugin before isthmus-cni');
    await this.#create(call, this.#draft(call, current, device));
    return { ...previous, cniVersion: call.cniVersion };
  }

  async #create({ limitsBandwidth }: CniCall, draft: Endpoint): Promise<Endpoint> {
    const { store, wiring, reconcile } = this.#options;
    store.put(draft);
    try {
      const endpoint = { ...draft, ifindex: connect(wiring, draft, limitsBandwidth === true) };
      store.put(endpoint);
      await reconcile();
      return endpoint;
    } catch (error) {
      await this.#undo(store.get(draft) ?? draft);
      throw error instanceof CniError ? error : ioError(`ADD of ${describe(draft)} failed and was undone`, error);
    }
  }

  #refuseDuplicate(call: CniCall): void {
    const existing = this.#options.store.get(call);
    if (existing === undefined) return;
    throw new CniError(
      CNI_CODES.alreadyAdded,
      `${call.interfaceName} of container ${call.containerID} was added already`,
      `it keeps ${existing.addresses.join(', ')}; DEL it first`,
    );
  }

  #requireNamespace({ netns }: CniCall): void {
    if (this.#isNamespace(netns)) return;
    throw new CniError(CNI_CODES.unknownContainer, `${netns} is no network namespace`, 'nothing was changed');
  }

  /** `given`: what other plugins have decided. */
  #draft(call: CniCall, current: Current, given: Partial<ChainedDevice>): Endpoint {
    const { store, mtu } = this.#options;
    const { containerID, interfaceName, wishes } = call;
    const endpoints = store.list();
    if (given.addresses !== undefined) checkFree(given.addresses, { ...current, endpoints });
    return exhaustible(() => {
      const draft = {
        containerID,
        interfaceName,
        netns: call.netns,
        namespace: call.namespace,
        pod: call.pod,
        podUID: call.podUID,
        addresses: given.addresses ?? this.#allocate(current, wishes.addresses),
        mac: wishes.mac ?? randomMac(),
        hostInterface: hostInterfaceName(containerID, interfaceName),
        ifindex: 0,
        mtu,
        nat: [],
        network: call.network,
        ...(wishes.hostPorts.length === 0 ? {} : { hostPorts: wishes.hostPorts }),
        ...(wishes.bandwidth === undefined ? {} : { bandwidth: wishes.bandwidth }),
        ...given,
        created: new Date().toISOString(),
      };
      return { ...draft, nat: this.#options.blocks.plan(current, endpoints).place(draft) };
    });
  }

  #allocate(current: Current, wanted: readonly string[], cursors = this.#cursors): string[] {
    return allocateAddresses({ ...current, endpoints: this.#options.store.list(), cursors, wanted });
  }

  #current(): Current {
    const current = this.#options.current();
    if (current !== undefined) return current;
    throw new CniError(
      CNI_CODES.tryAgainLater,
      'the agent has no ClusterNetwork or no Node of its own yet',
      'nothing was changed; see `isthmus status`',
    );
  }

  /** Unknown containers are fine: DEL must succeed however often it comes (specification, section 2). */
  async #delete(call: CniCall): Promise<unknown> {
    await this.#forget(call);
    return delegationOf(call);
  }

  async #forget(id: EndpointId): Promise<void> {
    const endpoint = this.#options.store.get(id);
    if (endpoint !== undefined) await this.#undo(endpoint);
  }

  async #undo(endpoint: Endpoint): Promise<void> {
    const { store, wiring, reconcile } = this.#options;
    try {
      disconnect(wiring, endpoint);
    } catch (error) {
      throw ioError(`could not remove ${endpoint.hostInterface} of ${describe(endpoint)}`, error);
    }
    if (endpoint.ifindex !== 0) await wiring.datapath.removeFlows(endpoint.ifindex);
    store.remove(endpoint);
    this.#options.onRemoved(endpoint);
    // The veth is gone, or not ours: what the maps still say of it leads nowhere; the next reconcile says it again.
    await reconcile().catch(() => undefined);
  }

  async #check(call: CniCall): Promise<unknown> {
    const endpoint = this.#options.store.get(call);
    if (endpoint === undefined) {
      throw new CniError(CNI_CODES.unknownContainer, `container ${call.containerID} was never added here`);
    }
    const fault = this.#findFault(call, endpoint);
    if (fault === undefined) return delegationOf(call);
    throw new CniError(CNI_CODES.notAsAdded, `${describe(endpoint)} is not as it was added`, fault);
  }

  #findFault({ known = [] }: CniCall, endpoint: Endpoint): string | undefined {
    const untold = endpoint.addresses.find((address) => !known.includes(address));
    if (untold !== undefined) return `the result of ADD does not name its address ${untold}`;
    try {
      checkConnection(this.#options.wiring, endpoint);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Without a list nobody knows what is stale: so nothing is, also for the IPAM plugin. */
  async #collect(call: CniCall): Promise<unknown> {
    if (call.attachments === undefined) return undefined;
    const valid = new Set(call.attachments.map(({ containerID, ifname }) => `${containerID}/${ifname}`));
    const stale = this.#options.store
      .list()
      .filter(({ network = call.network }) => network === call.network)
      .filter(({ containerID, interfaceName }) => !valid.has(`${containerID}/${interfaceName}`));
    const ends = await Promise.allSettled(
      stale.map((endpoint) => this.#inTurn(endpoint, () => this.#forget(endpoint))),
    );
    const failures = ends.filter((end) => end.status === 'rejected');
    if (failures.length === 0) return delegationOf(call);
    const [first] = failures;
    throw ioError(`${failures.length} of ${stale.length} stale attachments could not be removed`, first?.reason);
  }

  /** Whether an ADD that came now would find all that it takes, without taking it. */
  async #status(call: CniCall): Promise<unknown> {
    const { current: now, fault, store, blocks } = this.#options;
    const current = now();
    if (current === undefined) {
      throw new CniError(CNI_CODES.notAvailable, 'the agent has no ClusterNetwork or no Node of its own yet');
    }
    if (fault() !== '') throw new CniError(CNI_CODES.limited, 'what is wanted is not in force on this node', fault());
    try {
      const othersChoose = call.chained || call.ipamType !== undefined;
      const free = othersChoose ? [] : this.#allocate(current, [], new Map(this.#cursors));
      const tenant = { containerID: '', interfaceName: '', namespace: '', addresses: free, nat: [] };
      blocks.plan(current, store.list()).place(tenant);
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      throw new CniError(CNI_CODES.notAvailable, error.message, 'pods that are gone free theirs');
    }
    return delegationOf(call);
  }
}

/** GC and STATUS are about all attachments, whatever container their environment names. */
function concernsOne({ command }: CniCall): boolean {
  return command !== 'GC' && command !== 'STATUS';
}

function exhaustible<T>(take: () => T): T {
  try {
    return take();
  } catch (error) {
    if (!(error instanceof ExhaustedError)) throw error;
    const code = error.retrySeconds === undefined ? CNI_CODES.exhausted : CNI_CODES.tryAgainLater;
    throw new CniError(code, error.message, 'nothing was changed; pods that are gone free theirs');
  }
}

function describe({ namespace, pod, containerID }: Endpoint): string {
  return namespace === '' ? `container ${containerID}` : `pod ${namespace}/${pod}`;
}

function ioError(what: string, error: unknown): CniError {
  return new CniError(CNI_CODES.ioFailure, what, (error as Error).message);
}
