// The programs of this node: loaded for what is in force, attached once, with the maps that they use.
import type { Logger } from 'pino';
import type { Attachment, FragmentState, SocketState, XdpState } from '../api/protocol.js';
import type { SnapshotConfig } from '../datapath/config.js';
import type { Datapath } from '../datapath/datapath.js';
import { Reconciler } from '../datapath/reconcile.js';
import { type CompiledServices, hasBackendAt } from '../datapath/services.js';
import { canonical } from '../datapath/table.js';
import type { IpAddress } from '../model/address.js';
import { CUT, DETOUR_DIRECTIONS, DETOUR_MAC, type DetourName } from '../net/detour.js';
import type { LinkInfo, Netlink } from '../net/native.js';
import type { Detour } from './detour.js';
import { reserveNatPorts } from './host-ports.js';
import type { Pods } from './pods.js';
import type { Settings } from './settings.js';
import { GATEWAY_MAC } from './wiring.js';
import { attachXdp } from './xdp.js';

export interface NodeProgramsOptions {
  readonly settings: Settings;
  readonly log: Logger;
  /** In the node's namespace. */
  readonly node: Netlink;
  readonly uplink: LinkInfo;
  readonly datapath: Datapath;
  /** Makes or takes over the detour of fragments. Never throws. */
  readonly openDetour: () => Detour;
}

/** What of the programs is where. */
export interface ProgramStates {
  readonly fragments: FragmentState;
  readonly sockets: SocketState;
  readonly xdp: XdpState;
  readonly attachments: readonly Attachment[];
}

export class NodePrograms {
  readonly #options: NodeProgramsOptions;
  readonly #pods: Pods;
  #reconciler: Reconciler | undefined;
  /** What the programs are loaded for. */
  #loaded = '';
  #detour: Detour = { state: { mode: 'cache' }, ends: [] };
  #sockets: SocketState = { mode: 'packets' };
  #xdp: XdpState = { mode: 'tc' };
  #adopted = false;
  #attached = false;

  constructor(options: NodeProgramsOptions, pods: Pods) {
    this.#options = options;
    this.#pods = pods;
  }

  get states(): ProgramStates {
    const { attachments } = this.#options.datapath;
    return { fragments: this.#detour.state, sockets: this.#sockets, xdp: this.#xdp, attachments };
  }

  /** Before the first load. Nothing else depends on it: without it, fragments out of order are dropped. */
  openDetour(): void {
    const { openDetour, log } = this.#options;
    this.#detour = openDetour();
    const { mode, defrag, reason } = this.#detour.state;
    if (reason === undefined) log.info({ mode, defrag }, 'fragments');
    else log.warn({ mode, reason }, 'fragments out of order are dropped: there is no detour');
  }

  /** Writes the maps of the programs; undefined before the first load. */
  get reconciler(): Reconciler | undefined {
    return this.#reconciler;
  }

  /** Loads programs when what they are loaded for has changed; the maps were read anew then. Returns their reconciler. */
  async load(compiled: SnapshotConfig): Promise<Reconciler> {
    const { datapath, node, uplink, log } = this.#options;
    const config = {
      ...compiled,
      uplink_ifindex: uplink.ifindex,
      uplink_mtu: uplink.mtu,
      uplink_mac: uplink.mac,
      xdp_redirect: uplink.kind === 'veth' ? 1 : 0,
      gateway_mac: GATEWAY_MAC,
      detour_ifindex: DETOUR_DIRECTIONS.map((name) => this.#ifindexOf(name)),
      cut_ifindex: this.#ifindexOf(CUT),
      detour_mac: DETOUR_MAC,
      netns_cookie: node.cookie,
    };
    const text = canonical(config);
    if (this.#reconciler !== undefined && text === this.#loaded) return this.#reconciler;
    for (const one of reserveNatPorts(node, { first: compiled.nat_port_first, last: compiled.nat_port_last })) {
      log.error(
        { ...one },
        'a setting of the kernel is read-only: the node itself may take ports of pods; set it yourself',
      );
    }
    await datapath.load(config);
    // Read anew each time: somebody may have unpinned a map, and then the new programs have another one.
    const reconciler = new Reconciler(datapath.maps);
    await reconciler.adopt();
    if (!this.#adopted) await this.#adoptPods();
    [this.#reconciler, this.#loaded] = [reconciler, text];
    log.info({ attachments: datapath.attachments.length }, 'programs loaded');
    return reconciler;
  }

  /** Puts the programs on the uplink and on the pods, once: later ones replace them there. */
  attach(): void {
    if (this.#attached) return;
    const { datapath, uplink, settings, log } = this.#options;
    for (const { device, ifindex } of this.#detour.ends) datapath.attachDetour(device, ifindex);
    datapath.attachNetdev(uplink.name, uplink.ifindex);
    if (settings.cgroup !== '') datapath.guardBinds(settings.cgroup);
    this.#attachSockets();
    this.#xdp = attachXdp({ datapath, uplink, wanted: settings.xdp, log });
    this.#pods.attach();
    this.#attached = true;
    log.info({ attachments: datapath.attachments.length, uplink: uplink.name }, 'programs attached');
  }

  /** Before the first packet that is translated to a process of this node. Where there is none, nothing is attached. */
  answerForHost(services: CompiledServices, addresses: readonly IpAddress[]): void {
    const { datapath, uplink } = this.#options;
    if (datapath.answersForHost) return;
    if (!hasBackendAt(services, addresses) && !datapath.hadHostAnswers(uplink.name)) return;
    datapath.answerForHost([uplink, ...this.#pods.devices()]);
  }

  #ifindexOf(wanted: DetourName): number {
    return this.#detour.ends.find(({ name }) => name === wanted)?.ifindex ?? 0;
  }

  /** Nothing else depends on it: without it, pods reach services by packets. */
  #attachSockets(): void {
    const { datapath, settings, log } = this.#options;
    if (settings.cgroup === '' || settings.sockets === 'never') {
      datapath.leaveSockets();
      return;
    }
    try {
      datapath.serveSockets(settings.cgroup);
      this.#sockets = { mode: 'sockets' };
    } catch (error) {
      const reason = (error as Error).message;
      log.warn({ reason }, 'no services at the socket: pods reach them by packets, processes of the node do not');
      this.#sockets = { mode: 'packets', reason };
    }
  }

  async #adoptPods(): Promise<void> {
    const { adopted, gone } = await this.#pods.adopt();
    this.#adopted = true;
    this.#options.log.info({ pods: adopted, gone: gone.length }, 'adopted');
  }
}
