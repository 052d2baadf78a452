// The daemon: desired state in from the source and the pods, map contents and programs out.
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type AgentState, type AgentStatus, SOCKET_NAME, STATE_NAME } from '../api/protocol.js';
import { CompileError, compile, type Desired } from '../datapath/compile.js';
import type { Datapath, DatapathConfig } from '../datapath/datapath.js';
import { Reconciler, type Report } from '../datapath/reconcile.js';
import { canonical } from '../datapath/table.js';
import type { BlockGrant } from '../model/block-grant.js';
import type { Snapshot } from '../model/snapshot.js';
import { DETOUR_MAC } from '../net/detour.js';
import type { LinkInfo, NativeNet, Netlink } from '../net/native.js';
import type { Source } from '../source/source.js';
import { blockGrants } from './block-grants.js';
import { loadBlockKey } from './block-order.js';
import { type CniRequest, parseCniRequest } from './cni.js';
import type { Detour } from './detour.js';
import { EndpointStore, writeDurably } from './endpoint-store.js';
import { reserveNatPorts } from './host-ports.js';
import { reconcileHostRoutes } from './host-routes.js';
import { Journal } from './journal.js';
import { Pods } from './pods.js';
import { type Handlers, serve } from './server.js';
import type { Origin, Settings } from './settings.js';
import { describeState } from './state.js';
import { GATEWAY_MAC } from './wiring.js';

export interface AgentOptions {
  readonly settings: Settings;
  readonly origins: readonly Origin[];
  readonly version: string;
  readonly log: Logger;
  readonly net: NativeNet;
  /** In the node's namespace. */
  readonly node: Netlink;
  readonly uplink: LinkInfo;
  readonly datapath: Datapath;
  readonly detour: Detour;
  readonly source: Source;
}

const SWEEP_PERIOD = 5000;
/** Milliseconds until what the kernel refused is tried again. */
const RETRY_PERIOD = 5000;

export class Agent {
  readonly #options: AgentOptions;
  readonly #store: EndpointStore;
  readonly #journal: Journal;
  readonly #pods: Pods;
  readonly #started = new Date().toISOString();
  #reconciler: Reconciler | undefined;
  #snapshot: Snapshot | undefined;
  #desired: Desired | undefined;
  #loaded = '';
  #server: Server | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #pending: Promise<void> = Promise.resolve();

  constructor(options: AgentOptions) {
    const { net, node, datapath, settings, uplink, log } = options;
    mkdirSync(settings.stateDir, { recursive: true, mode: 0o755 });
    this.#options = options;
    this.#store = new EndpointStore(settings.stateDir);
    this.#journal = new Journal({
      directory: settings.journalDir,
      maxBytes: settings.journalMaxBytes,
      maxAgeDays: settings.journalMaxAgeDays,
      onNote: (note, message) => log.warn(note, message),
    });
    this.#pods = new Pods({
      store: this.#store,
      wiring: { net, node, datapath },
      journal: this.#journal,
      blockKey: loadBlockKey(settings.stateDir),
      mtu: uplink.mtu,
      current: () => this.#current(),
      reconcile: () => this.#requestReconcile(),
    });
  }

  /** Resolves when the first state is in force and the socket answers. */
  async start(): Promise<void> {
    const { source, settings, log } = this.#options;
    for (const [file, reason] of this.#store.unreadable) log.error({ file, reason }, 'endpoint record left alone');
    await source.start((snapshot) => {
      this.#snapshot = snapshot;
      for (const problem of snapshot.problems) log.warn({ ...problem }, 'object refused');
      this.#reconcileOrRetry();
    });
    await this.#pending.catch(() => undefined);
    this.#server = await serve(join(settings.stateDir, SOCKET_NAME), this.#handlers());
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_PERIOD);
    log.info({ node: settings.node, stateDir: settings.stateDir }, 'ready');
  }

  /** Programs, maps and pods stay as they are. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    clearTimeout(this.#retry);
    await this.#options.source.close();
    const server = this.#server;
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
    await this.#pending.catch(() => undefined);
    this.#options.datapath.close();
    this.#journal.close();
  }

  #current() {
    const network = this.#desired === undefined ? undefined : this.#snapshot?.network;
    const node = this.#snapshot?.nodes.get(this.#options.settings.node);
    return network !== undefined && node !== undefined ? { network, node } : undefined;
  }

  #reconcileOrRetry(): void {
    clearTimeout(this.#retry);
    this.#requestReconcile().catch((error: Error) => {
      this.#options.log.error({ err: error, retryMs: RETRY_PERIOD }, 'could not reconcile; what was in force stays');
      this.#retry = setTimeout(() => this.#reconcileOrRetry(), RETRY_PERIOD);
    });
  }

  /** One reconcile at a time; each sees all that happened before it began. */
  #requestReconcile(): Promise<void> {
    const next = this.#pending.catch(() => undefined).then(() => this.#reconcile());
    this.#pending = next;
    return next;
  }

  async #reconcile(): Promise<void> {
    const { log, settings, node, uplink } = this.#options;
    if (this.#snapshot === undefined) return;
    try {
      const { want, reconciler } = await this.#prepare(this.#snapshot);
      const report = await this.#putInForce(reconciler, want);
      reconcileHostRoutes({ node, uplink, nodeName: settings.node, snapshot: this.#snapshot });
      this.#desired = want;
      this.#writeState(this.#snapshot, want);
      this.#report(report);
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      log.warn({ reason: error.message, node: settings.node }, 'nothing to compile yet');
    }
  }

  /** A block is in the journal before its owner may use it, and out of use before the journal calls it released. */
  async #putInForce(reconciler: Reconciler, want: Desired): Promise<Report> {
    const node = this.#options.settings.node;
    const clusterID = this.#snapshot?.network?.clusterID ?? '';
    const grants = blockGrants({ table: want.endpoints, endpoints: this.#store.list(), node, clusterID });
    this.#journal.grant(grants);
    const report = await reconciler.reconcile(want);
    if (report.failures.length === 0) this.#release(grants);
    return report;
  }

  /** Ports whose release cannot be recorded stay taken: that is no reason to hold up anything else. */
  #release(kept: readonly BlockGrant[]): void {
    try {
      this.#journal.releaseOthers(kept);
    } catch (error) {
      this.#options.log.error({ err: error as Error, retryMs: RETRY_PERIOD }, 'journal not written');
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.#reconcileOrRetry(), RETRY_PERIOD);
    }
  }

  /** Compiles, and loads programs when what they are compiled for has changed. */
  async #prepare(snapshot: Snapshot): Promise<{ want: Desired; reconciler: Reconciler }> {
    let reconciler = this.#reconciler;
    let want = this.#compile(snapshot, reconciler);
    const config = this.#config(want);
    const text = canonical(config);
    if (text !== this.#loaded || reconciler === undefined) {
      reconciler = await this.#load(snapshot, config);
      this.#loaded = text;
      // The maps may hold what an earlier agent wrote: ids and generations go on from there.
      want = this.#compile(snapshot, reconciler);
    }
    return { want, reconciler };
  }

  #compile(snapshot: Snapshot, reconciler: Reconciler | undefined): Desired {
    return compile({
      snapshot,
      nodeName: this.#options.settings.node,
      endpoints: this.#store.list().filter(({ ifindex }) => ifindex !== 0),
      serviceIds: this.#desired?.serviceIds ?? new Map(),
      have: reconciler?.have ?? { services: new Map(), backends: new Map() },
    });
  }

  async #load(snapshot: Snapshot, config: DatapathConfig): Promise<Reconciler> {
    const { datapath, detour, node, uplink, settings, log } = this.#options;
    const first = this.#reconciler === undefined;
    if (snapshot.network !== undefined) reserveNatPorts(node, snapshot.network.natPorts);
    await datapath.load(config);
    const reconciler = first ? new Reconciler(datapath.maps) : (this.#reconciler as Reconciler);
    if (first) {
      await reconciler.adopt();
      this.#reconciler = reconciler;
      for (const { device, ifindex } of detour.ends) datapath.attachDetour(device, ifindex);
      datapath.attachNetdev(uplink.name, uplink.ifindex);
      if (settings.cgroup !== '') datapath.guardBinds(settings.cgroup);
      const { adopted, gone } = await this.#pods.adopt();
      log.info({ pods: adopted, gone: gone.length, attached: datapath.attachments.length }, 'adopted');
    }
    log.info({ programs: datapath.attachments.length, uplink: uplink.name }, 'programs loaded');
    return reconciler;
  }

  #config(want: Desired): DatapathConfig {
    const { uplink, node, detour } = this.#options;
    return {
      ...want.config,
      uplink_ifindex: uplink.ifindex,
      uplink_mtu: uplink.mtu,
      gateway_mac: GATEWAY_MAC,
      detour_ifindex: [detour.ends[0]?.ifindex ?? 0, detour.ends[1]?.ifindex ?? 0],
      detour_mac: DETOUR_MAC,
      netns_cookie: node.cookie,
    };
  }

  #report({ written, removed, failures, postponed }: Report): void {
    const { log } = this.#options;
    for (const { map, key, operation, error } of failures) log.error({ map, key, operation, err: error }, 'map write failed');
    if (written + removed > 0) log.info({ written, removed, postponed: postponed.length }, 'reconciled');
    if (failures.length > 0) throw new Error(`${failures.length} map writes failed`);
  }

  #writeState(snapshot: Snapshot, desired: Desired): void {
    const state = this.#state(snapshot, desired);
    writeDurably(join(this.#options.settings.stateDir, STATE_NAME), `${JSON.stringify(state, null, 2)}\n`);
  }

  #state(snapshot: Snapshot, desired: Desired): AgentState {
    const { settings, origins, version, uplink, datapath, detour } = this.#options;
    const fragments = detour.state;
    return describeState({ settings, origins, version, uplink, datapath, fragments, snapshot, desired });
  }

  #sweep(): void {
    this.#journal.maintain();
    this.#options.datapath.sweep().catch((error: Error) => {
      this.#options.log.error({ err: error }, 'removal of dead flows failed; the kernel goes on by itself');
    });
  }

  #handlers(): Handlers {
    return {
      status: () => this.#status(),
      state: () => this.#requireState(),
      cni: (request) => this.#cni(request),
    };
  }

  #requireState(): AgentState {
    if (this.#snapshot === undefined || this.#desired === undefined) {
      const problems = this.#snapshot?.problems.map(({ where, reason }) => `${where}: ${reason}`).join('; ') ?? '';
      throw new Error(`nothing is in force yet: the ClusterNetwork or this Node is missing or refused ${problems}`);
    }
    return this.#state(this.#snapshot, this.#desired);
  }

  #status(): AgentStatus {
    return {
      state: this.#requireState(),
      pid: process.pid,
      started: this.#started,
      rssBytes: process.memoryUsage.rss(),
      endpoints: this.#store.list(),
      source: { kind: 'directory', where: this.#options.settings.source, synced: this.#snapshot !== undefined },
    };
  }

  async #cni(request: CniRequest): Promise<unknown> {
    const { log } = this.#options;
    const call = { command: request.command, container: request.containerID, interface: request.interfaceName };
    try {
      const result = await this.#pods.handle(parseCniRequest(request));
      log.info(call, 'cni request');
      return result;
    } catch (error) {
      log.warn({ ...call, err: error as Error }, 'cni request refused');
      throw error;
    }
  }
}
