// The daemon: desired state in from the source and the pods, map contents and programs out.
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { type AgentState, type AgentStatus, SOCKET_NAME, STATE_NAME } from '../api/protocol.js';
import { CompileError, compile, type Desired } from '../datapath/compile.js';
import type { Reconciler, Report } from '../datapath/reconcile.js';
import { listIds } from '../datapath/services.js';
import type { Snapshot } from '../model/snapshot.js';
import type { NativeNet } from '../net/native.js';
import type { Source } from '../source/source.js';
import { Blocks } from './blocks.js';
import { type CniRequest, parseCniRequest } from './cni.js';
import { EndpointStore, writeDurably } from './endpoint-store.js';
import { explainService } from './explain.js';
import { describeRouteFailure, reconcileHostRoutes } from './host-routes.js';
import { NodePrograms, type NodeProgramsOptions } from './node-programs.js';
import { prepareNode } from './node-setup.js';
import { Pods } from './pods.js';
import { type Handlers, serve } from './server.js';
import type { Origin } from './settings.js';
import { StaleSockets } from './stale-sockets.js';
import { type DescribeStateInput, describeRefusal, describeState, isSameState } from './state.js';

export interface AgentOptions extends NodeProgramsOptions {
  readonly origins: readonly Origin[];
  readonly version: string;
  readonly net: NativeNet;
  readonly source: Source;
}

const SWEEP_PERIOD = 5000;
/** Milliseconds until what the kernel refused is tried again. */
const RETRY_PERIOD = 5000;
/** Milliseconds that answers have to get out when the agent ends. */
const CLOSE_GRACE = 300;

export class Agent {
  readonly #options: AgentOptions;
  readonly #store: EndpointStore;
  readonly #blocks: Blocks;
  readonly #pods: Pods;
  readonly #programs: NodePrograms;
  readonly #staleSockets: StaleSockets;
  readonly #started = new Date().toISOString();
  #snapshot: Snapshot | undefined;
  #desired: Desired | undefined;
  #state: AgentState | undefined;
  /** What #state says. */
  #described: DescribeStateInput | undefined;
  /** Why the newest snapshot is not in force; empty when it is. */
  #fault = '';
  readonly #ready = Promise.withResolvers<void>();
  #server: Server | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #pending: Promise<void> = Promise.resolve();

  constructor(options: AgentOptions) {
    const { net, node, datapath, settings, uplink, log } = options;
    this.#options = options;
    this.#store = new EndpointStore(settings.stateDir);
    this.#ready.promise.catch(() => undefined); // nobody may be waiting
    this.#blocks = new Blocks(settings, log);
    this.#staleSockets = new StaleSockets({ datapath, log, endpoints: () => this.#store.list() });
    this.#pods = new Pods({
      store: this.#store,
      blocks: this.#blocks,
      wiring: { net, node, datapath },
      mtu: uplink.mtu,
      current: () => this.#current(),
      reconcile: () => this.#requestReconcile(),
      onRemoved: (endpoint) => this.#staleSockets.afterRemoval(endpoint),
    });
    this.#programs = new NodePrograms(options, this.#pods);
  }

  /**
   * Resolves when the first snapshot was handled. Rejects when another agent serves the socket (nothing was touched
   * then) or the source cannot be read. Pods wait from the beginning, so that no request meets half of a start.
   */
  async start(): Promise<void> {
    const { source, settings, log, node, uplink } = this.#options;
    mkdirSync(settings.stateDir, { recursive: true, mode: 0o755 });
    this.#server = await serve(join(settings.stateDir, SOCKET_NAME), this.#handlers());
    prepareNode(node, uplink);
    this.#programs.openDetour();
    this.#store.load();
    this.#blocks.open();
    for (const [file, reason] of this.#store.unreadable) log.error({ file, reason }, 'endpoint record left alone');
    await source.start((snapshot) => {
      this.#snapshot = snapshot;
      for (const problem of snapshot.problems) log.warn({ ...problem }, 'object refused');
      this.#reconcileOrRetry();
    });
    await this.#pending.catch(() => undefined);
    this.#ready.resolve();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_PERIOD);
    log.info({ node: settings.node, stateDir: settings.stateDir }, 'ready');
  }

  /** Programs, maps and pods stay as they are. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#ready.reject(new Error('the agent could not start; nothing was changed; its log says why'));
    await this.#options.source.close();
    await this.#closeServer();
    await this.#pending.catch(() => undefined);
    clearTimeout(this.#retry);
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
    const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE);
    await closed.finally(() => clearTimeout(grace));
  }

  #current() {
    const network = this.#desired === undefined ? undefined : this.#snapshot?.network;
    const node = this.#snapshot?.nodes.get(this.#options.settings.node);
    return network !== undefined && node !== undefined ? { network, node } : undefined;
  }

  #reconcileOrRetry(): void {
    this.#requestReconcile().catch(() => undefined); // it was logged, and is tried again
  }

  /** One reconcile at a time; each sees all that happened before it began. What fails is tried again by itself too. */
  #requestReconcile(): Promise<void> {
    const next = this.#pending.catch(() => undefined).then(() => this.#reconcile());
    this.#pending = next;
    return next;
  }

  async #reconcile(): Promise<void> {
    const { log, settings } = this.#options;
    const snapshot = this.#snapshot;
    if (snapshot === undefined) return;
    clearTimeout(this.#retry);
    try {
      await this.#apply(snapshot);
    } catch (error) {
      const waits = error instanceof CompileError;
      if (waits) log.warn({ reason: error.message, node: settings.node }, 'nothing to compile yet');
      else this.#retryLater(error as Error);
      this.#refuse(snapshot, (error as Error).message);
      if (!waits) throw error;
    }
  }

  #retryLater(error: Error): void {
    this.#options.log.error({ err: error, retryMs: RETRY_PERIOD }, 'could not reconcile; what was in force stays');
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#reconcileOrRetry(), RETRY_PERIOD);
  }

  /** Maps before programs: a program that is attached anew finds everything in place. */
  async #apply(snapshot: Snapshot): Promise<void> {
    const { settings, node, uplink } = this.#options;
    const { want, reconciler } = await this.#prepare(snapshot);
    const { report, unreleased } = await this.#blocks.putInForce({
      want,
      endpoints: this.#store.list(),
      clusterID: snapshot.network?.clusterID ?? '',
      write: () => reconciler.reconcile(want),
    });
    this.#sweepServices(report);
    this.#programs.attach();
    this.#endStaleSockets(report);
    const routeFailures = reconcileHostRoutes({ node, uplink, nodeName: settings.node, snapshot });
    const { fragments, sockets } = this.#programs;
    const { attachments } = this.#options.datapath;
    const described = { ...this.#options, fragments, sockets, snapshot, desired: want, routeFailures, attachments };
    const same = this.#fault === '' && isSameState(this.#described, described);
    this.#desired = want;
    this.#described = described;
    this.#fault = '';
    if (same && this.#state !== undefined) this.#state = { ...this.#state, updated: new Date().toISOString() };
    else this.#writeState(describeState(described));
    this.#report(report);
    const [refused] = routeFailures;
    if (refused !== undefined) this.#retryLater(new Error(describeRouteFailure(refused)));
    if (unreleased !== undefined) this.#retryLater(unreleased);
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
      serviceIds: settled || this.#desired === undefined ? new Map() : listIds(this.#desired.services),
      have: reconciler?.have ?? { services: new Map(), backends: new Map() },
      previous: settled ? this.#desired : undefined,
    });
  }

  /** After the new entries are in force: a datagram that comes between the two finds a backend that serves. */
  #sweepServices({ retired }: Report): void {
    if (retired === 0) return;
    this.#options.datapath.sweepServices().catch((error: Error) => {
      this.#options.log.error({ err: error }, 'removal of stale UDP flows failed; the next walk removes them');
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
    writeDurably(join(this.#options.settings.stateDir, STATE_NAME), `${JSON.stringify(state, null, 2)}\n`);
  }

  #sweep(): void {
    this.#blocks.maintain();
    this.#options.datapath.sweep().catch((error: Error) => {
      this.#options.log.error({ err: error }, 'removal of dead flows failed; the kernel goes on by itself');
    });
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
