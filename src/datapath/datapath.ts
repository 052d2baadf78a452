// The programs and maps of one node: loaded, attached, and replaced without a packet missing them.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Attachment } from '../api/protocol.js';
import { BpfError } from '../bpf/error.js';
import {
  type AttachMode,
  attachCgroup,
  attachDevice,
  attachDeviceAtOnce,
  attachXdp,
  detachPinned,
  type XdpMode,
} from '../bpf/link.js';
import type { NativeLink, NativeProgram } from '../bpf/native.js';
import type { EventReader, RingEvent } from '../bpf/ring-buffer.js';
import type { FlowTable } from '../model/flow-table.js';
import { BIND_HOOKS, SOCKET_HOOKS, STALE_LISTER } from './cgroup-hooks.js';
import { viewFlowTable } from './flow-table.js';
import { Hits } from './hits.js';
import {
  type DatapathConfig,
  type DatapathObject,
  type Features,
  type LoadOptions,
  loadObject,
  XDP_PROGRAMS,
} from './load.js';
import { type OpenMaps, openMaps } from './maps.js';
import type { DatapathMaps } from './reconcile.js';
import type { CompiledServices } from './services.js';
import { endSocketsTo, endStaleSockets, type Namespaces } from './sockets.js';
import {
  DIRECTION,
  DROP_REASON,
  type DropCounter,
  type DropKey,
  type Endpoint as EndpointEntry,
  type ShortageEvent,
} from './types.gen.js';
import { runWalk } from './walk.js';

export interface DatapathOptions extends LoadOptions {
  /** Of the C sources that the object was made from. */
  readonly sourceHash: string;
  readonly attach: AttachMode;
  /** Whether services are for sockets too, where the kernel can. */
  readonly sockets: boolean;
  /** Whether the program before the stack is loaded, where the kernel can. */
  readonly xdp: boolean;
  /** Whether the node's namespace has a device of this name. */
  readonly hasDevice: (name: string) => boolean;
  /** A sampled drop, decoded. */
  readonly onDrop: (event: Readonly<Record<string, unknown>>) => void;
}

/** A network device of the node. */
export interface Device {
  readonly name: string;
  readonly ifindex: number;
}

/** What was dropped for one reason in one direction, since the maps were made. */
export interface DropTotal {
  /** As in enum drop_reason and enum direction. */
  readonly reason: string;
  readonly direction: string;
  readonly packets: number;
  readonly bytes: number;
}

export interface MapFill {
  readonly map: string;
  readonly entries: number;
  readonly maxEntries: number;
}

/** Told of a pod that has no port left, or few. */
export type ShortageHandler = (event: ShortageEvent) => void;

/** Programs on devices that others may remove at any time, and whose those are. */
const REMOVABLE: Readonly<Record<string, string>> = {
  from_container: 'a pod',
  from_chained: 'a pod',
  from_host: 'a pod',
  from_detour: 'the detour',
};
/** Sees what leaves a device, and no other program does. */
const FROM_HOST = 'from_host';

interface Target {
  attachment: Attachment;
  /** Puts the newest program there. */
  readonly refresh: () => NativeLink;
  link: NativeLink;
}

interface Closeable {
  close(): void;
}

export class Datapath {
  readonly #options: DatapathOptions;
  readonly #targets = new Map<string, Target>();
  /** Names of targets that have a filter, and may get a link in its place. */
  readonly #unsettled = new Set<string>();
  /** Whether the kernel has no links for devices. */
  #filtersOnly = false;
  readonly #hits = new Hits();
  #programs = new Map<string, NativeProgram>();
  #object: DatapathObject | undefined;
  #events: EventReader | undefined;
  #maps: OpenMaps | undefined;
  #walking: Promise<unknown> = Promise.resolve();
  #answersForHost = false;
  #features: Features;
  #onShortage: ShortageHandler = () => undefined;

  constructor(options: DatapathOptions) {
    this.#options = options;
    this.#features = { fastChecksum: true, sockets: options.sockets, xdp: options.xdp };
  }

  /** Replaces the former handler. */
  set onShortage(handler: ShortageHandler) {
    this.#onShortage = handler;
  }

  get sourceHash(): string {
    return this.#options.sourceHash;
  }

  get attachments(): Attachment[] {
    return [...this.#targets.values()].map(({ attachment }) => attachment);
  }

  /** The maps that the agent writes. After load; each load brings new handles, which may be of other maps. */
  get maps(): DatapathMaps {
    if (this.#maps === undefined) throw new BpfError('the datapath is not loaded');
    return this.#maps;
  }

  /**
   * Loads programs compiled for `config` and puts them in place of the former ones, device by device, each by one
   * atomic update. When loading fails, the former ones stay.
   */
  async load(config: DatapathConfig): Promise<void> {
    const { object, features } = await loadObject(this.#options, config, this.#features);
    this.#features = features;
    const former = { object: this.#object, events: this.#events, programs: this.#programs, maps: this.#maps };
    this.#object = object;
    this.#programs = new Map();
    this.#maps = openMaps(object);
    this.#events = object.readEvents('events', (events) => this.#onEvents(events));
    try {
      for (const target of this.#targets.values()) this.#refresh(target);
      await this.#run('sweep_start');
    } finally {
      closeAll([former.events, former.object, ...former.programs.values(), ...Object.values(former.maps ?? {})]);
    }
  }

  attachNetdev(device: string, ifindex: number): void {
    this.#attachDevice('from_netdev', device, ifindex);
  }

  /** The node's side of a veth to where fragments are put in order. */
  attachDetour(device: string, ifindex: number): void {
    this.#attachDevice('from_detour', device, ifindex);
  }

  attachContainer(device: string, ifindex: number): void {
    this.#attachPod('from_container', device, ifindex);
  }

  /** The node's side of a veth that another CNI plugin made. */
  attachChained(device: string, ifindex: number): void {
    this.#attachPod('from_chained', device, ifindex);
  }

  #attachPod(program: string, device: string, ifindex: number): void {
    this.#attachDevice(program, device, ifindex);
    if (this.#answersForHost || this.hadHostAnswers(device)) this.#attachDevice(FROM_HOST, device, ifindex);
  }

  /**
   * The same for a device that was made just now, by filters where that is allowed: a link makes the kernel wait for a
   * grace period, and the machine's network with it. settle() has to be called when nobody waits.
   */
  attachNewContainer(device: string, ifindex: number): void {
    for (const program of this.#answersForHost ? ['from_container', FROM_HOST] : ['from_container']) {
      this.#attachDevice(program, device, ifindex, attachDeviceAtOnce);
      if (this.#options.attach === 'auto' && !this.#filtersOnly) this.#unsettled.add(`${program}-${device}`);
    }
  }

  /** Puts a link in the place of one filter. Whether there was one. Throws what the kernel refused; the filter stays. */
  settle(): boolean {
    const [name] = this.#unsettled;
    const target = name === undefined ? undefined : this.#targets.get(name);
    if (name === undefined || target === undefined) return false;
    this.#unsettled.delete(name);
    try {
      this.#refresh(target);
    } catch (error) {
      this.#unsettled.add(name); // behind the others
      throw error;
    }
    return true;
  }

  /**
   * Has what the node's own processes answer through these devices translated, and through those of pods that are
   * attached later. It stays, also for agents after this one: connections may last for longer than the Service that
   * they began by. Where nobody needs it, a pod waits one grace period of the kernel less for its programs.
   */
  answerForHost(devices: readonly Device[]): void {
    this.#answersForHost = true;
    for (const { name, ifindex } of devices) {
      if (!this.#targets.has(`${FROM_HOST}-${name}`)) this.#attachDevice(FROM_HOST, name, ifindex);
    }
  }

  /** Whether it is so since this agent started. */
  get answersForHost(): boolean {
    return this.#answersForHost;
  }

  /** Whether this agent or an earlier one did that. */
  hadHostAnswers(device: string): boolean {
    return existsSync(this.#pin(`${FROM_HOST}-${device}`));
  }

  /** Forgets a device that is gone; one that is not loses its programs. */
  detachContainer(device: string): void {
    for (const program of ['from_container', 'from_chained', FROM_HOST]) this.#detach(`${program}-${device}`);
  }

  #detach(name: string): void {
    const target = this.#targets.get(name);
    // A filter has no pin, and goes with its device only.
    const isFilter = target?.attachment.kind === 'clsact' && this.#options.hasDevice(target.attachment.target);
    if (isFilter) target?.link.detach();
    target?.link.close();
    this.#targets.delete(name);
    this.#unsettled.delete(name);
    detachPinned(this.#options.native, this.#pin(name));
  }

  /** Refuses binds to NAT ports in the cgroup's processes, in the namespace that the configuration names. */
  guardBinds(cgroup: string): void {
    this.#attachCgroup(cgroup, BIND_HOOKS);
  }

  /**
   * Has the cgroup's processes, in whatever namespace, reach services at the socket. Throws BpfError when the kernel
   * has not all that it takes; the hooks are as they were before then, or gone.
   */
  serveSockets(cgroup: string): void {
    if (!this.#features.sockets) throw new BpfError('the kernel did not load the programs for sockets');
    try {
      this.#attachCgroup(cgroup, SOCKET_HOOKS);
    } catch (error) {
      this.leaveSockets();
      throw error;
    }
  }

  /** Takes the programs off sockets, also those of an earlier agent. Open connections keep their backends. */
  leaveSockets(): void {
    for (const program of Object.keys(SOCKET_HOOKS)) this.#detach(program);
  }

  /**
   * Has the uplink's packets handled before the stack, where that is possible. Throws BpfError when the device or the
   * kernel refuses; then no program of ours is there, and packets take the way through tc as before.
   */
  attachXdp(device: string, ifindex: number, mode: XdpMode): void {
    const { native } = this.#options;
    this.leaveXdp(device, mode === 'native' ? 'generic' : 'native');
    if (!this.#features.xdp) throw new BpfError('the kernel did not load the xdp program');
    const pin = this.#pin(xdpName(device, mode));
    const program = XDP_PROGRAMS[mode];
    const refresh = () => attachXdp({ native, program: this.#program(program), ifindex, mode, pin }).link;
    const attachment: Attachment = { program, target: device, kind: 'xdp' };
    this.#targets.set(xdpName(device, mode), { attachment, refresh, link: refresh() });
  }

  /** Takes the xdp program off a device, also that of an earlier agent. */
  leaveXdp(device: string, ...modes: readonly XdpMode[]): void {
    for (const mode of modes) this.#detach(xdpName(device, mode));
  }

  /** Ends the connected UDP sockets of services to backends that serve no more. Resolves to how many. */
  async endStaleSockets(namespaces: Namespaces): Promise<number> {
    if (this.#object === undefined || !this.#features.sockets) return 0;
    return endStaleSockets(this.#options.native, this.#program(STALE_LISTER), namespaces);
  }

  /** Ends every socket of the namespaces that speaks to one of the addresses. Resolves to how many. */
  endSocketsTo(which: { namespaces: Namespaces; addresses: readonly string[] }): Promise<number> {
    return endSocketsTo(this.#options.native, which);
  }

  /** How full the flow table is, as the kernel counts; undefined before the first load. */
  readFlowTable(): FlowTable | undefined {
    if (this.#object === undefined) return undefined;
    using flows = this.#object.map('flows');
    using totals = this.#object.map('flow_totals');
    using counts = this.#object.map('flow_counts');
    return viewFlowTable({ total: totals.get(0), counts: counts.scan(), maxEntries: flows.info.maxEntries });
  }

  /** Drops of all CPUs; none before the first load. */
  readDrops(): DropTotal[] {
    if (this.#object === undefined) return [];
    using drops = this.#object.map('drops');
    return Array.from(drops.scan(), viewDropTotal);
  }

  /** Removes the counts of backends that none of the services has. Throws NativeError; the next call tries again. */
  async retainHits(services: CompiledServices): Promise<void> {
    if (this.#object === undefined) return;
    using hits = this.#object.map('hits');
    await this.#hits.retain(hits, services);
  }

  /** What the programs know of an address of this node; undefined before the first load. */
  readEndpoint(address: string): EndpointEntry | undefined {
    if (this.#object === undefined) return undefined;
    using endpoints = this.#object.map('endpoints');
    return endpoints.get(address);
  }

  /** Entries that a map has room for; undefined before the first load. */
  readCapacity(name: keyof DatapathMaps): number | undefined {
    if (this.#object === undefined) return undefined;
    using map = this.#object.map(name);
    return map.info.maxEntries;
  }

  /** Removes the UDP flows of services to backends that serve no more, so that their senders get others. */
  async sweepServices(): Promise<void> {
    if (this.#object === undefined) return;
    await this.#walk('sweep_services');
  }

  /** Removes the flows of a pod that is gone, so that the next owner of its address and ports finds them free. */
  async removeFlows(ifindex: number): Promise<void> {
    const object = this.#object;
    if (object === undefined) return;
    await this.#walk('sweep_endpoint', object.encodeStruct('sweep_request', { ifindex }));
  }

  /** One after the other: in the kernel they are one walker. */
  async #walk(name: string, context?: Uint8Array): Promise<void> {
    const done = this.#walking.then(() => runWalk(this.#program(name), context));
    this.#walking = done.catch(() => undefined);
    await done;
  }

  /** Closes descriptors; what is pinned or attached stays. */
  close(): void {
    const links = [...this.#targets.values()].map(({ link }) => link);
    closeAll([this.#events, ...links, ...this.#programs.values(), this.#object, ...Object.values(this.#maps ?? {})]);
    this.#targets.clear();
    this.#programs.clear();
    this.#object = undefined;
  }

  /** A device that is gone has no packets that could miss the program: a pod's DEL has not come yet, that is all. */
  #refresh(target: Target): void {
    const { program, target: device } = target.attachment;
    const owner = REMOVABLE[program];
    try {
      const link = target.refresh();
      target.link.close();
      target.link = link;
      if (link.kind !== target.attachment.kind) target.attachment = { ...target.attachment, kind: link.kind };
    } catch (error) {
      if (owner === undefined || this.#options.hasDevice(device)) throw error;
      this.#options.onNote({ device, reason: (error as Error).message }, `the device of ${owner} is gone`);
      this.#detach(`${program}-${device}`);
    }
  }

  #attachDevice(program: string, device: string, ifindex: number, attachFirst = attachDevice): void {
    const name = `${program}-${device}`;
    const { native, attach, onNote } = this.#options;
    const put = (attachTo: typeof attachDevice): NativeLink => {
      const attached = attachTo({
        native,
        program: this.#program(program),
        ifindex,
        side: program === FROM_HOST ? 'egress' : 'ingress',
        mode: attach,
        pin: this.#pin(name),
      });
      if (attached.fallback !== undefined) {
        this.#filtersOnly = true;
        onNote({ device, reason: attached.fallback.message }, 'no tcx here: attached with clsact instead');
      }
      return attached.link;
    };
    this.#targets.get(name)?.link.close();
    const link = put(attachFirst);
    const attachment: Attachment = { program, target: device, kind: link.kind };
    this.#targets.set(name, { attachment, refresh: () => put(attachDevice), link });
  }

  #attachCgroup(cgroup: string, hooks: Readonly<Record<string, number>>): void {
    const { native } = this.#options;
    for (const [program, attachType] of Object.entries(hooks)) {
      const pin = this.#pin(program);
      const refresh = () => attachCgroup({ native, program: this.#program(program), cgroup, attachType, pin }).link;
      this.#targets.set(program, {
        attachment: { program, target: cgroup, kind: 'cgroup' },
        refresh,
        link: refresh(),
      });
    }
  }

  #program(name: string): NativeProgram {
    let program = this.#programs.get(name);
    if (program === undefined) {
      if (this.#object === undefined) throw new BpfError('the datapath is not loaded');
      program = this.#object.program(name);
      this.#programs.set(name, program);
    }
    return program;
  }

  async #run(name: string): Promise<void> {
    const { retval } = await this.#program(name).run({});
    if (retval !== 0) throw new BpfError(`program ${name} returned ${retval}`);
  }

  /** bpffs keeps names with a dot for itself, and devices of VLANs have one. */
  #pin(name: string): string {
    return join(this.#options.bpffs, 'links', name.replaceAll('%', '%25').replaceAll('.', '%2e'));
  }

  #onEvents(events: readonly RingEvent[]): void {
    for (const event of events) {
      if (event.type === 'drop_event') this.#options.onDrop(event.value as Readonly<Record<string, unknown>>);
      if (event.type === 'shortage_event') this.#onShortage(event.value as ShortageEvent);
    }
  }
}

function xdpName(device: string, mode: XdpMode): string {
  return `${XDP_PROGRAMS[mode]}-${device}`;
}

function viewDropTotal([{ reason, direction }, counters]: readonly [DropKey, readonly DropCounter[]]): DropTotal {
  const sum = (field: 'packets' | 'bytes') => Number(counters.reduce((total, counter) => total + counter[field], 0n));
  return {
    reason: nameIn(DROP_REASON, reason),
    direction: nameIn(DIRECTION, direction).replace('DIRECTION_', '').toLowerCase(),
    packets: sum('packets'),
    bytes: sum('bytes'),
  };
}

function nameIn(values: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(values).find(([, number]) => number === value)?.[0] ?? String(value);
}

function closeAll(handles: readonly (Closeable | undefined)[]): void {
  for (const handle of handles) handle?.close();
}
