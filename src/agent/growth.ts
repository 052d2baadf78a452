// Port blocks on request: the kernel says which pod finds no port, and the pod gets another block while its quotas last.
import type { Logger } from 'pino';
import { SHORTAGE_KIND, type ShortageEvent } from '../datapath/types.gen.js';
import { FAMILIES, type Family } from '../model/address.js';
import { portsText } from '../model/block-grant.js';
import type { Endpoint } from '../model/endpoint.js';
import { portsOf } from '../model/port-blocks.js';
import type { BlockContext, Blocks } from './blocks.js';
import type { EndpointStore } from './endpoint-store.js';
import { ExhaustedError } from './exhausted.js';
import { bindingOf } from './tenant.js';

export interface GrowthOptions {
  readonly store: Pick<EndpointStore, 'list' | 'put'>;
  readonly blocks: Pick<Blocks, 'plan'>;
  readonly log: Logger;
  /** What is in force; undefined before the first good state. */
  readonly current: () => BlockContext | undefined;
  /** Brings maps and journal up to date with the records; rejects when that failed, and is tried again then. */
  readonly reconcile: () => Promise<void>;
}

interface Request {
  readonly ifindex: number;
  readonly family: Family;
  /** That the kernel knew the pod to have when it asked. */
  readonly blocks: number;
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6', 132: 'sctp' };

export class Growth {
  readonly #options: GrowthOptions;
  readonly #requests = new Map<string, Request>();
  #running: Promise<void> | undefined;

  constructor(options: GrowthOptions) {
    this.#options = options;
  }

  /** Never throws. Many requests at once are one change of the maps. */
  handle(event: ShortageEvent): void {
    const family = FAMILIES[event.family];
    if (family === undefined) return;
    if (event.kind === SHORTAGE_KIND.SHORTAGE_REFUSED) {
      this.#report(event, family);
      return;
    }
    this.#requests.set(`${event.ifindex} ${family}`, { ifindex: event.ifindex, family, blocks: event.blocks });
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when what was asked for is given or refused. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { reconcile, log } = this.#options;
    while (this.#requests.size > 0) {
      try {
        if (this.#grant()) await reconcile();
      } catch (error) {
        log.error({ err: error as Error }, 'port blocks that were asked for are not in force yet; tried again');
      }
    }
  }

  /** Whether anything has to be put in force. In one turn of the event loop, as everything that takes blocks. */
  #grant(): boolean {
    const { current, store, blocks } = this.#options;
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    const context = current();
    if (context === undefined) return false;
    const endpoints = store.list();
    const plan = blocks.plan(context, endpoints);
    return requests
      .map((request) => {
        const endpoint = endpoints.find(({ ifindex }) => ifindex === request.ifindex);
        const binding = endpoint && bindingOf(endpoint, request.family);
        // Asked before the last block was in force.
        if (endpoint === undefined || binding === undefined || binding.blocks.length !== request.blocks) return false;
        return this.#grow(endpoint, request.family, () => plan.grow(endpoint, request.family), context);
      })
      .some(Boolean);
  }

  #grow(endpoint: Endpoint, family: Family, grow: () => Endpoint['nat'], { network }: BlockContext): boolean {
    const { log, store } = this.#options;
    const { namespace, pod, containerID } = endpoint;
    try {
      const grown = { ...endpoint, nat: grow() };
      store.put(grown);
      const { address = '', blocks = [] } = bindingOf(grown, family) ?? {};
      const ports = portsText(portsOf(network, blocks.at(-1) ?? 0));
      log.info({ namespace, pod, containerID, address, ports, blocks: blocks.length }, 'port block granted on request');
    } catch (error) {
      if (!(error instanceof ExhaustedError)) throw error;
      log.info({ namespace, pod, containerID, family, reason: error.message }, 'port block refused');
    }
    // Also when it was refused: the kernel must not ask any more.
    return true;
  }

  #report(event: ShortageEvent, family: Family): void {
    const { log, store } = this.#options;
    const endpoint = store.list().find(({ ifindex }) => ifindex !== 0 && ifindex === event.ifindex);
    const who = endpoint === undefined ? { address: event.pod } : this.#whoIs(endpoint, family);
    const { remote, remote_port: remotePort, protocol, blocks } = event;
    log.warn(
      { ...who, remote, remotePort, protocol: PROTOCOLS[protocol] ?? protocol, blocks },
      'ports exhausted: new flows to this remote are refused',
    );
  }

  #whoIs(endpoint: Endpoint, family: Family): object {
    const { current, blocks, store } = this.#options;
    const { namespace, pod, containerID } = endpoint;
    const context = current();
    const reason = context && blocks.plan(context, store.list()).whyNot(endpoint, family);
    return { namespace, pod, containerID, family, ...(reason === undefined ? {} : { reason }) };
  }
}
