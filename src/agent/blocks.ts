// Port blocks of this node: which one a pod gets, and that the journal knows of it before the maps do.
import type { Logger } from 'pino';
import type { Desired } from '../datapath/compile.js';
import type { Report } from '../datapath/reconcile.js';
import type { IpAddress } from '../model/address.js';
import type { BlockGrant } from '../model/block-grant.js';
import type { Endpoint } from '../model/endpoint.js';
import type { ClusterNetwork } from '../model/network.js';
import { countBlocks } from '../model/port-blocks.js';
import { blockGrants, isCovered } from './block-grants.js';
import { loadBlockKey, orderBlocks } from './block-order.js';
import { BlockPlan } from './block-plan.js';
import { Journal } from './journal.js';
import type { Settings } from './settings.js';

export interface PutInForceOptions {
  readonly want: Desired;
  readonly endpoints: readonly Endpoint[];
  readonly clusterID: string;
  /** Writes the maps. */
  readonly write: () => Promise<Report>;
  /** Ends the flows of a pod, which may use ports that it has lost. */
  readonly removeFlows: (ifindex: number) => Promise<void>;
}

/** What blocks can be given of. */
export interface BlockContext {
  readonly network: ClusterNetwork;
  /** Translation addresses of the node, the default first. */
  readonly addresses: readonly IpAddress[];
}

/** What the maps hold now; `unreleased` says why blocks that nobody owns any more still count as taken. */
export interface PutInForceResult {
  readonly report: Report;
  readonly unreleased?: Error;
}

interface Opened {
  readonly journal: Journal;
  /** Makes the order of blocks. */
  readonly key: Uint8Array;
}

export class Blocks {
  readonly #settings: Settings;
  readonly #log: Logger;
  #opened: Opened | undefined;
  #ordered: { readonly name: string; readonly order: readonly number[] } | undefined;

  constructor(settings: Settings, log: Logger) {
    this.#settings = settings;
    this.#log = log;
  }

  /** Once no other agent can be writing the journal. Throws the error of the file system. */
  open(): void {
    const { stateDir, journalDir, journalMaxBytes, journalMaxAgeDays } = this.#settings;
    const journal = new Journal({
      directory: journalDir,
      maxBytes: journalMaxBytes,
      maxAgeDays: journalMaxAgeDays,
      onNote: (note, message) => this.#log.warn(note, message),
    });
    this.#opened = { journal, key: loadBlockKey(stateDir) };
  }

  /** Who has which blocks now, and who may get more. */
  plan({ network, addresses }: BlockContext, tenants: readonly Endpoint[]): BlockPlan {
    const { journal } = this.#open();
    return new BlockPlan({
      network,
      nodeName: this.#settings.node,
      addresses,
      tenants,
      order: this.#order(network),
      granted: journal.granted,
      released: journal.released,
    });
  }

  /**
   * A block is in the journal before its owner may use it, and out of use before the journal calls it released. Throws
   * JournalError when it cannot be recorded; nothing is written then.
   */
  async putInForce({ want, endpoints, clusterID, write, removeFlows }: PutInForceOptions): Promise<PutInForceResult> {
    const grants = blockGrants({ table: want.endpoints, endpoints, node: this.#settings.node, clusterID });
    this.#open().journal.grant(grants);
    const report = await write();
    for (const ifindex of this.#whoLost(grants, endpoints)) await removeFlows(ifindex);
    const unreleased = report.failures.length === 0 ? this.#release(grants) : undefined;
    return unreleased === undefined ? { report } : { report, unreleased };
  }

  /** Forgets what is too old; to be called now and then. Never throws: a journal that grows is no reason to end. */
  maintain(): void {
    try {
      this.#opened?.journal.maintain();
    } catch (error) {
      this.#log.error({ err: error as Error }, 'old parts of the journal were not removed; tried again in an hour');
    }
  }

  close(): void {
    this.#opened?.journal.close();
  }

  /** Drawing lots takes milliseconds, every pod asks, and the answer is the same until the network is another. */
  #order(network: ClusterNetwork): readonly number[] {
    const name = `${countBlocks(network)} ${network.blockOrder}`;
    if (this.#ordered?.name !== name) {
      const { key } = this.#open();
      this.#ordered = { name, order: orderBlocks(countBlocks(network), network.blockOrder, key) };
    }
    return this.#ordered.order;
  }

  /** Devices of pods that live, and had ports that they have no longer: the next owner must find those free. */
  #whoLost(kept: readonly BlockGrant[], endpoints: readonly Endpoint[]): number[] {
    const lost = this.#open()
      .journal.othersThan(kept)
      .filter((grant) => !isCovered(grant, kept));
    const containers = new Set(lost.flatMap(({ owner }) => (owner.kind === 'Pod' ? [owner.containerID] : [])));
    return endpoints.filter(({ containerID }) => containers.has(containerID)).map(({ ifindex }) => ifindex);
  }

  /** Ports whose release cannot be recorded stay taken: that is no reason to hold up anything else. */
  #release(kept: readonly BlockGrant[]): Error | undefined {
    try {
      this.#open().journal.releaseOthers(kept);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  #open(): Opened {
    if (this.#opened === undefined) throw new Error('the journal of block grants is not open');
    return this.#opened;
  }
}
