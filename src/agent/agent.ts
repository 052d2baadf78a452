// The daemon: desired state in from the source and the pods, map contents and programs out.
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AgentState, type AgentStatus, SOCKET_NAME, STATE_NAME } from '../api/protocol.js';
import { CompileError, compile, type Desired } from '../datapath/compile.js';
import type { Reconciler, Report } from '../datapath/reconcile.js';
import { listIds } from '../datapath/services.js';
import { FAMILIES } from '../model/address.js';
import { poolAddresses, translationAddresses } from '../model/egress-pool.js';
import type { Snapshot } from '../model/snapshot.js';
import type { NativeNet } from '../net/native.js';
import { Blocks } from './blocks.js';
import { type CniRequest, parseCniRequest } from './cni.js';
import { EndpointStore, replaceFile } from './endpoint-store.js';
import { explainService } from './explain.js';
import { FlowWatch } from './flow-watch.js';
import { Growth } from './growth.js';
import { describeRouteFailure, reconcileHostRoutes } from './host-routes.js';
import { readMapFill } from './map-fill.js';
import type { MeasuredSource } from './measured-source.js';
import { NodePrograms, type NodeProgramsOptions } from './node-programs.js';
import { prepareNode } from './node-setup.js';
import { Offloads } from './offloads.js';
import { type Current, Pods } from './pods.js';
import { QuietWork } from './quiet-work.js';
import { Reporting } from './reporting.js';
import { type Handlers, serve } from './server.js';
import type { Origin } from './settings.js';
import { StaleSockets } from './stale-sockets.js';
import { type DescribeStateInput, describeRefusal, describeState, isSameState } from './state.js';
import { type AddressFailure, reconcileUplinkAddresses } from './uplink-addresses.js';

export interface AgentOptions extends NodeProgramsOptions {
  readonly origins: readonly Origin[];
  readonly version: string;
  readonly net: NativeNet;
  readonly source: MeasuredSource;
  /** Called when everything is in force for the first time, and again while the node waits to hear of it. */
  readonly onReady?: () => void;
}

type Failures = Pick<DescribeStateInput, 'routeFailures' | 'addressFailures' | 'listenFailures'>;

const MAINTENANCE_PERIOD = 5000;
/** Milliseconds until what the kernel refused is tried again. */
const RETRY_PERIOD = 5000;
/** Milliseconds that answers have to get out when the agent ends. */
const CLOSE_GRACE = 300;

export class Agent {
  readonly #options: AgentOptions;
  readonly #store: EndpointStore;
  readonly #blocks: Blocks;
  readonly #settling: QuietWork;
  readonly #pods: Pods;
  readonly #growth: Growth;
  readonly #offloads: Offloads;
  readonly #programs: NodePrograms;
  readonly #flowWatch: FlowWatch;
  readonly #staleSockets: StaleSockets;
  readonly #reporting: Reporting;
  readonly #started = new Date().toISOString();
  #snapshot: Snapshot | undefined;
  #desired: Desired | undefined;
  #state: AgentState | undefined;
  /** What #state says. */
  #described: DescribeStateInput | undefined;
  /** Problems that the log has. */
  #logged: ReadonlySet<string> = new Set();
  /** Why the newest snapshot is not in force; empty when it is. */
  #fault = '';
  readonly #ready = Promise.withResolvers<void>();
  #server: Server | undefined;
  #maintainer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #rested: NodeJS.Timeout | undefined;
  #pending: Promise<void> = Promise.resolve();
  /** What has not begun yet. */
  #next: Promise<void> | undefined;
  #opening: Promise<void> = Promise.resolve();
  #announced = false;

  constructor(options: AgentOptions) {
    const { net, node, datapath, settings, uplink, log } = options;
    this.#options = options;
    this.#store = new EndpointStore(settings.stateDir);
    this.#ready.promise.catch(() => undefined); // nobody may be waiting
    this.#blocks = new Blocks(settings, log);
    this.#staleSockets = new StaleSockets({ datapath, log, endpoints: () => this.#store.list() });
    this.#offloads = new Offloads({ node, uplink, wanted: settings, log });
    this.#settling = new QuietWork({
      step: () => datapath.settle(),
      onDone: () => this.#reconcileOrRetry(), // the state says what is attached how
      onRefused: (reason) => log.warn({ reason }, 'a filter stays where a link should be; tried again'),
    });
    this.#pods = new Pods({
      store: this.#store,
      blocks: this.#blocks,
      wiring: { net, node, datapath, offloads: this.#offloads },
      log,
      quietWork: this.#settling,
      mtu: uplink.mtu,
      current: () => this.#current(),
      fault: () => this.#fault,
      reconcile: () => this.#requestReconcile(),
      onRemoved: (endpoint) => this.#staleSockets.afterRemoval(endpoint),
    });
    this.#growth = new Growth({
      store: this.#store,
      blocks: this.#blocks,
      log,
      current: () => this.#current(),
      reconcile: () => this.#requestReconcile(),
    });
    datapath.onShortage = (event) => this.#growth.handle(event);
    this.#programs = new NodePrograms(options, this.#pods);
    this.#reporting = this.#createReporting();
    const names = () => ({ endpoints: this.#store.list(), uplink });
    this.#flowWatch = new FlowWatch({ log, names, clock: () => performance.now() });
  }

  #createReporting(): Reporting {
    const { datapath, settings, version, source } = this.#options;
    return new Reporting({
      settings,
      metrics: source.metrics ?? [],
      clock: Date.now,
      sources: {
        version,
        drops: () => datapath.readDrops(),
        mapFill: () => readMapFill(datapath, this.#programs.reconciler),
        attachments: () => datapath.attachments,
        endpoints: () => this.#store.list().length,
        problems: () => this.#state?.problems.length ?? 0,
      },
    });
  }

  /**
   * Resolves when the first snapshot was handled. Rejects when another agent serves the socket (nothing was touched
   * then) or the source cannot be read. Pods wait from the beginning, so that no request meets half of a start.
   */
  async start(): Promise<void> {
    const { source, settings, log } = this.#options;
    this.#opening = this.#open();
    await this.#opening;
    await source.start((snapshot) => {
      this.#snapshot = snapshot;
      this.#reporting.queue(snapshot);
      this.#logProblems(snapshot);
      this.#reconcileOrRetry();
    });
    await this.#pending.catch(() => undefined);
    this.#ready.resolve();
    this.#maintainer = setInterval(() => this.#maintain(), MAINTENANCE_PERIOD).unref();
    log.info({ node: settings.node, stateDir: settings.stateDir }, 'ready');
  }

  /** All that does not need the source. */
  async #open(): Promise<void> {
    const { settings, log, node, uplink } = this.#options;
    mkdirSync(settings.stateDir, { recursive: true, mode: 0o755 });
    this.#server = await serve(join(settings.stateDir, SOCKET_NAME), this.#handlers());
    for (const one of prepareNode(node, uplink))
      log.error({ ...one }, 'a setting of the kernel is read-only: set it yourself');
    this.#programs.openDetour();
    this.#store.load();
    this.#blocks.open();
    for (const [file, reason] of this.#store.unreadable) log.error({ file, reason }, 'endpoint record left alone');
    await this.#reporting.open();
  }

  /** Each once, for as long as it stays the same: other objects change all the time. */
  #logProblems({ problems }: Snapshot): void {
    const texts = new Map(problems.map((problem) => [`${problem.object}: ${problem.reason}`, problem]));
    for (const [text, problem] of texts) {
      if (!this.#logged.has(text)) this.#options.log.warn({ ...problem }, 'object refused');
    }
    this.#logged = new Set(texts.keys());
  }

  /** Programs, maps and pods stay as they are. Also while start() waits for the source. */
  async close(): Promise<void> {
    await this.#opening.catch(() => undefined);
    clearInterval(this.#maintainer);
    this.#settling.close();
    this.#ready.reject(new Error('the agent could not start; nothing was changed; its log says why'));
    await this.#options.source.close();
    await this.#closeServer();
    await this.#pending.catch(() => undefined);
    clearTimeout(this.#retry);
    clearTimeout(this.#rested);
    await this.#reporting.close();
    await this.#staleSockets.idle();
    this.#options.datapath.close();
    this.#blocks.close();
  }

  /** What pods asked for is carried out and answered; a connection that asks nothing does not hold up the end. */
  async #closeServer(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    await this.#pods.idle();
    await this.#growth.idle();
    const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE);
    await closed.finally(() => clearTimeout(grace));
  }

  /** undefined before the first good state. */
  #current(): Current | undefined {
    return this.#desired === undefined || this.#snapshot === undefined ? undefined : this.#contextOf(this.#snapshot);
  }

  #contextOf({ network, nodes, egressPools, services }: Snapshot): Current | undefined {
    const node = nodes.get(this.#options.settings.node);
    if (network === undefined || node === undefined) return undefined;
    const pools = [...egressPools.values()];
    return {
      network,
      node,
      services,
      addresses: FAMILIES.flatMap((family) => translationAddresses(pools, node, family)),
    };
  }

  #reconcileOrRetry(): void {
    this.#requestReconcile().catch(() => undefined); // it was logged, and is tried again
  }

  /**
   * One reconcile at a time; each sees all that happened before it began, so that who waits shares the next one with all
   * others who do, and with requests that are here already and were not looked at. What fails is tried again by itself too.
   */
  #requestReconcile(): Promise<void> {
    this.#next ??= this.#pending
      .catch(() => undefined)
      .then(() => nextTurn())
      .then(() => {
        this.#next = undefined;
        return this.#reconcile();
      });
    this.#pending = this.#next;
    return this.#next;
  }

  async #reconcile(): Promise<void> {
    const { log, settings } = this.#options;
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return;
    clearTimeout(this.#retry);
    this.#reporting.begin();
    try {
      this.#reporting.finish(await this.#apply(snapshot));
      this.#announce(snapshot);
    } catch (error) {
      this.#reporting.fail();
      const waits = error instanceof CompileError;
      if (waits) log.warn({ reason: error.message, node: settings.node }, 'nothing to compile yet');
      else this.#retryLater(error as Error);
      this.#refuse(snapshot, (error as Error).message);
      if (!waits) throw error;
    }
  }

  #announce({ nodes }: Snapshot): void {
    const { onReady, settings } = this.#options;
    if (!this.#announced || nodes.get(settings.node)?.awaitsAgent) onReady?.();
    this.#announced = true;
  }

  #retryLater(error: Error): void {
    this.#options.log.error({ err: error, retryMs: RETRY_PERIOD }, 'could not reconcile; what was in force stays');
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#reconcileOrRetry(), RETRY_PERIOD);
  }

  /** Maps before programs: a program that is attached anew finds everything in place. */
  async #apply(snapshot: Snapshot): Promise<Desired> {
    const { settings, node, uplink, datapath } = this.#options;
    this.#repairEndpoints(snapshot);
    const { want, reconciler } = await this.#prepare(snapshot);
    this.#programs.answerForHost(want.services, snapshot.nodes.get(settings.node)?.addresses ?? []);
    const addressFailures = this.#reconcileAddresses(snapshot);
    const { report, unreleased } = await this.#blocks.putInForce({
      want,
      endpoints: this.#store.list(),
      clusterID: snapshot.network?.clusterID ?? '',
      write: () => reconciler.reconcile(want),
      removeFlows: (ifindex) => datapath.removeFlows(ifindex),
    });
    this.#sweepServices(report);
    this.#programs.attach();
    this.#endStaleSockets(report);
    await this.#retainHits(want);
    const routeFailures = reconcileHostRoutes({ node, uplink, nodeName: settings.node, snapshot });
    const listenFailures = await this.#reporting.listen(want);
    const failures = { routeFailures, addressFailures, listenFailures };
    this.#describe({
      ...this.#options,
      ...this.#programs.states,
      offloads: this.#offloads.state,
      snapshot,
      desired: want,
      ...failures,
    });
    this.#report(report);
    this.#retryFailures(failures);
    if (unreleased !== undefined) this.#retryLater(unreleased);
    return want;
  }

  /** Everything is in force, but for what the failures name. */
  #describe(described: DescribeStateInput): void {
    const same = this.#fault === '' && isSameState(this.#described, described);
    this.#desired = described.desired;
    this.#described = described;
    this.#fault = '';
    if (same && this.#state !== undefined) this.#state = { ...this.#state, updated: new Date().toISOString() };
    else this.#writeState(describeState(described));
  }

  /** Nobody else tells when the obstacle is gone. */
  #retryFailures({ routeFailures, addressFailures, listenFailures }: Failures): void {
    const texts = [
      ...routeFailures.map(describeRouteFailure),
      ...addressFailures.map(({ address, reason }) => `address ${address}: ${reason}`),
      ...listenFailures.map(({ object, address, reason }) => `${object} at ${address}: ${reason}`),
    ];
    if (texts.length > 0) this.#retryLater(new Error(texts.join('; ')));
  }

  /** Addresses and ports may be other ones than when a pod got its blocks. */
  #repairEndpoints(snapshot: Snapshot): void {
    const context = this.#contextOf(snapshot);
    if (context === undefined) return;
    const endpoints = this.#store.list();
    const plan = this.#blocks.plan(context, endpoints);
    for (const endpoint of endpoints) {
      const { namespace, pod, containerID } = endpoint;
      const nat = plan.repair(endpoint, ({ message }) => {
        this.#options.log.error({ namespace, pod, containerID, reason: message }, 'a pod has no port blocks');
      });
      if (nat === undefined) continue;
      this.#store.put({ ...endpoint, nat });
      this.#options.log.warn({ namespace, pod, containerID, nat, before: endpoint.nat }, 'a pod has other port blocks');
    }
  }

  #reconcileAddresses(snapshot: Snapshot): AddressFailure[] {
    const { node, uplink, settings } = this.#options;
    const own = snapshot.nodes.get(settings.node);
    const wanted = own === undefined ? [] : poolAddresses(snapshot.egressPools.values(), own);
    return reconcileUplinkAddresses(wanted, { node, uplink, stateDir: settings.stateDir });
  }

  /** Who may get more blocks now; looked at again when a block has rested that somebody might get. */
  #growable(snapshot: Snapshot): ReadonlySet<string> {
    const context = this.#contextOf(snapshot);
    if (context === undefined) return new Set();
    const { addresses, secondsToWait } = this.#blocks.plan(context, this.#store.list()).growable();
    clearTimeout(this.#rested);
    if (secondsToWait !== undefined) {
      this.#rested = setTimeout(() => this.#reconcileOrRetry(), (secondsToWait + 1) * 1000);
      this.#rested.unref();
    }
    return addresses;
  }

  #refuse(snapshot: Snapshot, reason: string): void {
    this.#fault = reason;
    if (this.#state !== undefined) this.#writeState(describeRefusal(this.#state, snapshot, reason));
  }

  /** Compiles, and loads programs when what they are compiled for has changed. */
  async #prepare(snapshot: Snapshot): Promise<{ want: Desired; reconciler: Reconciler }> {
    const before = this.#programs.reconciler;
    const want = this.#compile(snapshot);
    const reconciler = await this.#programs.load(want.config);
    // The maps may hold what an earlier agent wrote: ids and generations go on from there.
    return { want: reconciler === before ? want : this.#compile(snapshot), reconciler };
  }

  #compile(snapshot: Snapshot): Desired {
    const { reconciler } = this.#programs;
    const settled = reconciler?.applied !== undefined && reconciler.applied === this.#desired?.services;
    return compile({
      snapshot,
      nodeName: this.#options.settings.node,
      endpoints: this.#store.list().filter(({ ifindex }) => ifindex !== 0),
      growable: this.#growable(snapshot),
      serviceIds: settled || this.#desired === undefined ? new Map() : listIds(this.#desired.services),
      have: reconciler?.have ?? { services: new Map(), backends: new Map() },
      previous: settled ? this.#desired : undefined,
    });
  }

  /** After the new entries are in force: a datagram that comes between the two finds a backend that serves. */
  #sweepServices({ retired }: Report): void {
    if (retired === 0) return;
    this.#options.datapath.sweepServices().catch((error: Error) => {
      this.#options.log.error(
        { err: error },
        'removal of stale UDP flows failed; the next walk of the kernel removes them',
      );
    });
  }

  /** A count too many misleads nobody for long, so nothing waits for it. */
  async #retainHits({ services }: Desired): Promise<void> {
    const { datapath, log } = this.#options;
    await datapath.retainHits(services).catch((error: Error) => {
      log.warn({ err: error }, 'hits of backends that are gone could not be removed; the next change tries again');
    });
  }

  /** A service that serves again counts too: while nobody served, its sockets were left alone. */
  #endStaleSockets({ retired, enlisted }: Report): void {
    if (retired + enlisted > 0 || this.#desired === undefined) this.#staleSockets.afterChange();
  }

  #report({ written, removed, failures, postponed }: Report): void {
    const { log } = this.#options;
    for (const { map, key, operation, error } of failures)
      log.error({ map, key, operation, err: error }, 'map write failed');
    if (written + removed > 0) log.info({ written, removed, postponed: postponed.length }, 'reconciled');
    if (failures.length > 0) throw new Error(`${failures.length} map writes failed`);
  }

  #writeState(state: AgentState): void {
    this.#state = state;
    replaceFile(join(this.#options.settings.stateDir, STATE_NAME), `${JSON.stringify(state, null, 2)}\n`);
  }

  #maintain(): void {
    this.#blocks.maintain();
    try {
      const table = this.#options.datapath.readFlowTable();
      if (table !== undefined) this.#flowWatch.check(table);
    } catch (error) {
      this.#options.log.error({ err: error }, 'how full the flow table is cannot be read; the next look tries again');
    }
  }

  #handlers(): Handlers {
    return {
      status: () => this.#status(),
      state: () => this.#requireState(),
      service: (namespace, name) => this.#desired && explainService(this.#desired.services, namespace, name),
      cni: (request) => this.#cni(request),
    };
  }

  #requireState(): AgentState {
    if (this.#state !== undefined) return this.#state;
    const problems = this.#snapshot?.problems.map(({ where, reason }) => `${where}: ${reason}`) ?? [];
    const fault = this.#fault === '' ? 'the agent is starting' : this.#fault;
    throw new Error(`nothing is in force yet: ${[fault, ...problems].join('; ')}`);
  }

  #status(): AgentStatus {
    const { kind, where, kept } = this.#options.source;
    const synced = this.#snapshot !== undefined && kept === undefined;
    return {
      state: this.#requireState(),
      pid: process.pid,
      started: this.#started,
      rssBytes: process.memoryUsage.rss(),
      endpoints: this.#store.list(),
      source: { kind, where, synced, ...(kept === undefined ? {} : { kept }) },
    };
  }

  async #cni(request: CniRequest): Promise<unknown> {
    const { log } = this.#options;
    const call = { command: request.command, container: request.containerID, interface: request.interfaceName };
    try {
      await this.#ready.promise;
      const result = await this.#pods.handle(parseCniRequest(request));
      log.info(call, 'cni request');
      return result;
    } catch (error) {
      log.warn({ ...call, err: error as Error }, 'cni request refused');
      throw error;
    }
  }
}
