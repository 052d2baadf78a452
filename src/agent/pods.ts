// Pods of this node: what a CNI request does to records, wiring and maps. One request at a time.
import type { Endpoint } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import { namespaceCookie } from '../net/netns.js';
import type { BlockContext, Blocks } from './blocks.js';
import { CNI_CODES, CNI_VERSIONS, type CniCall, CniError, formatResult, hostInterfaceName, randomMac } from './cni.js';
import type { EndpointStore } from './endpoint-store.js';
import { ExhaustedError } from './exhausted.js';
import { allocateAddresses } from './ipam.js';
import { checkWiring, unwire, type Wiring, wire } from './wiring.js';

/** What pods are added to. */
export interface Current extends BlockContext {
  readonly node: Node;
}

export interface PodsOptions {
  readonly store: EndpointStore;
  readonly wiring: Wiring;
  /** Which port blocks are free; grants are recorded where they are put in force. */
  readonly blocks: Pick<Blocks, 'plan'>;
  /** Bytes, of every pod's device. */
  readonly mtu: number;
  /** What is in force; undefined before the first good state. */
  readonly current: () => Current | undefined;
  /** Brings the maps up to date with the records; rejects when they could not be written. */
  readonly reconcile: () => Promise<void>;
  /** A pod is gone, and so is what others had to do with it. */
  readonly onRemoved: (endpoint: Endpoint) => void;
}

export class Pods {
  readonly #options: PodsOptions;
  readonly #cursors = new Map<string, bigint>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: PodsOptions) {
    this.#options = options;
  }

  /** Resolves with what the plugin prints. Rejects with CniError; what was begun is undone then. */
  handle(call: CniCall): Promise<unknown> {
    return this.exclusively(() => this.#handle(call));
  }

  /** Runs a task between two requests. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Resolves when no request is being carried out. */
  async idle(): Promise<void> {
    await this.#queue;
  }

  /**
   * At start: drops the records of pods that went away meanwhile, and takes back what an ADD left that never ended: its
   * runtime was told that it failed. DEL may still come for them, and finds nothing to do.
   */
  async adopt(): Promise<{ adopted: number; gone: readonly Endpoint[] }> {
    const { store, wiring } = this.#options;
    const gone = store.list().filter((endpoint) => this.#isGone(endpoint));
    for (const endpoint of gone) {
      unwire(wiring, endpoint);
      if (endpoint.ifindex !== 0) await wiring.datapath.removeFlows(endpoint.ifindex);
      store.remove(endpoint);
    }
    return { adopted: store.list().length, gone };
  }

  /** Programs on the pods that are there, or newer ones in place of what an earlier agent attached. */
  attach(): void {
    const { store, wiring } = this.#options;
    for (const { hostInterface } of store.list()) {
      const link = wiring.node.link(hostInterface);
      if (link !== undefined) wiring.datapath.attachContainer(hostInterface, link.ifindex);
    }
  }

  #isGone({ ifindex, hostInterface, netns }: Endpoint): boolean {
    if (ifindex === 0) return true;
    const { node } = this.#options.wiring;
    return node.link(hostInterface) === undefined && !this.#isNamespace(netns);
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
        return this.#status();
      case 'VERSION':
        return { cniVersion: call.cniVersion, supportedVersions: CNI_VERSIONS };
    }
  }

  async #add(call: CniCall): Promise<unknown> {
    const { store, wiring, reconcile } = this.#options;
    this.#refuseDuplicate(call);
    this.#requireNamespace(call);
    const draft = this.#draft(call);
    store.put(draft);
    try {
      const ifindex = wire(wiring, draft);
      const endpoint = { ...draft, ifindex };
      store.put(endpoint);
      await reconcile();
      return formatResult(endpoint, call.cniVersion);
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

  #draft(call: CniCall): Endpoint {
    const current = this.#current();
    const { store, blocks, mtu } = this.#options;
    try {
      const endpoints = store.list();
      const addresses = allocateAddresses({ ...current, endpoints, cursors: this.#cursors });
      const draft = {
        containerID: call.containerID,
        interfaceName: call.interfaceName,
        netns: call.netns,
        namespace: call.namespace,
        pod: call.pod,
        podUID: call.podUID,
        addresses,
        mac: randomMac(),
        hostInterface: hostInterfaceName(call.containerID, call.interfaceName),
        ifindex: 0,
        mtu,
        nat: [],
        created: new Date().toISOString(),
      };
      return { ...draft, nat: blocks.plan(current, endpoints).place(draft) };
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      const code = error.retrySeconds === undefined ? CNI_CODES.exhausted : CNI_CODES.tryAgainLater;
      throw new CniError(code, error.message, 'nothing was changed; pods that are gone free theirs');
    }
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
    const endpoint = this.#options.store.get(call);
    if (endpoint !== undefined) await this.#undo(endpoint);
    return undefined;
  }

  async #undo(endpoint: Endpoint): Promise<void> {
    const { store, wiring, reconcile } = this.#options;
    try {
      unwire(wiring, endpoint);
    } catch (error) {
      throw ioError(`could not remove ${endpoint.hostInterface} of ${describe(endpoint)}`, error);
    }
    if (endpoint.ifindex !== 0) await wiring.datapath.removeFlows(endpoint.ifindex);
    store.remove(endpoint);
    this.#options.onRemoved(endpoint);
    // The veth is gone, so what the maps still say about it leads nowhere; the next reconcile says it again.
    await reconcile().catch(() => undefined);
  }

  async #check(call: CniCall): Promise<unknown> {
    const endpoint = this.#options.store.get(call);
    if (endpoint === undefined) {
      throw new CniError(CNI_CODES.unknownContainer, `container ${call.containerID} was never added here`);
    }
    try {
      checkWiring(this.#options.wiring, endpoint);
    } catch (error) {
      throw new CniError(
        CNI_CODES.notAsAdded,
        `${describe(endpoint)} is not as it was added`,
        (error as Error).message,
      );
    }
    return undefined;
  }

  async #collect(call: CniCall): Promise<unknown> {
    const valid = new Set(call.attachments.map(({ containerID, ifname }) => `${containerID}/${ifname}`));
    const stale = this.#options.store
      .list()
      .filter(({ containerID, interfaceName }) => !valid.has(`${containerID}/${interfaceName}`));
    const failures: Error[] = [];
    for (const endpoint of stale) await this.#undo(endpoint).catch((error: Error) => failures.push(error));
    if (failures.length === 0) return undefined;
    const [first] = failures;
    throw ioError(`${failures.length} of ${stale.length} stale attachments could not be removed`, first);
  }

  async #status(): Promise<unknown> {
    const current = this.#options.current();
    if (current !== undefined) return undefined;
    throw new CniError(CNI_CODES.notAvailable, 'the agent has no ClusterNetwork or no Node of its own yet');
  }
}

function describe({ namespace, pod, containerID }: Endpoint): string {
  return namespace === '' ? `container ${containerID}` : `pod ${namespace}/${pod}`;
}

function ioError(what: string, error: unknown): CniError {
  return new CniError(CNI_CODES.ioFailure, what, (error as Error).message);
}
