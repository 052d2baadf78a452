// The programs and maps of one node: loaded, attached, and replaced without a packet missing them.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Attachment } from '../api/protocol.js';
import { BpfError } from '../bpf/error.js';
import { type AttachMode, attachCgroup, attachDevice, detachPinned } from '../bpf/link.js';
import type { Native, NativeLink, NativeProgram } from '../bpf/native.js';
import { BpfObject } from '../bpf/object.js';
import type { EventReader, RingEvent } from '../bpf/ring-buffer.js';
import type { Config } from './types.gen.js';
import type { DatapathMaps } from './reconcile.js';
import type { Maps } from './types.gen.js';

export interface DatapathOptions {
  readonly native: Native;
  readonly objectPath: string;
  /** Of the C sources that the object was made from. */
  readonly sourceHash: string;
  /** Where maps and links are pinned: what is pinned there already is adopted. */
  readonly bpffs: string;
  readonly attach: AttachMode;
  /** Size of a new flow table; an adopted one keeps its size. */
  readonly flowEntries: number;
  /** Something an operator may want to know, and no error. */
  readonly onNote: (details: Readonly<Record<string, unknown>>, message: string) => void;
  /** A sampled drop, decoded. */
  readonly onDrop: (event: Readonly<Record<string, unknown>>) => void;
}

/** What the caller decides; whether checksums can be done the fast way is found by trying. */
export type DatapathConfig = Omit<Config, 'fast_checksum'>;

/** Pinned, so that they outlive the agent. Events and working room belong to the object that wrote them. */
const PINNED = ['endpoints', 'routes', 'services', 'backends', 'flows', 'mappings', 'fragments', 'detour_sources', 'detour_totals', 'fragment_stats', 'drops', 'nat_counters', 'sweeps'] as const;

/** enum bpf_attach_type */
const BIND_HOOKS = { bind4: 8, bind6: 9 } as const;

interface Target {
  readonly attachment: Attachment;
  /** Puts the newest program there. */
  readonly refresh: () => NativeLink;
  link: NativeLink;
}

type DatapathObject = BpfObject<Maps, Config>;

export class Datapath {
  readonly #options: DatapathOptions;
  readonly #targets = new Map<string, Target>();
  readonly #programs = new Map<string, NativeProgram>();
  #object: DatapathObject | undefined;
  #events: EventReader | undefined;
  #maps: DatapathMaps | undefined;
  #fastChecksum = true;

  constructor(options: DatapathOptions) {
    this.#options = options;
  }

  get sourceHash(): string {
    return this.#options.sourceHash;
  }

  get attachments(): Attachment[] {
    return [...this.#targets.values()].map(({ attachment }) => attachment);
  }

  /** The maps that the agent writes. After load. */
  get maps(): DatapathMaps {
    if (this.#maps === undefined) throw new BpfError('the datapath is not loaded');
    return this.#maps;
  }

  /**
   * Loads programs compiled for `config` and puts them in place of the former ones, device by device, each by one
   * atomic update. When loading fails, the former ones stay.
   */
  async load(config: DatapathConfig): Promise<void> {
    const object = await this.#loadObject(config);
    const former = { object: this.#object, events: this.#events, programs: [...this.#programs.values()] };
    this.#object = object;
    this.#programs.clear();
    this.#maps ??= {
      endpoints: object.map('endpoints'),
      routes: object.map('routes'),
      services: object.map('services'),
      backends: object.map('backends'),
    } as DatapathMaps;
    this.#events = object.readEvents('events', (events) => this.#onEvents(events));
    for (const target of this.#targets.values()) {
      const link = target.refresh();
      target.link.close();
      target.link = link;
    }
    await this.#run('sweep_start');
    former.events?.close();
    for (const program of former.programs) program.close();
    former.object?.close();
  }

  attachNetdev(device: string, ifindex: number): void {
    this.#attachDevice('from_netdev', device, ifindex);
  }

  /** The node's side of a veth to where fragments are put in order. */
  attachDetour(device: string, ifindex: number): void {
    this.#attachDevice('from_detour', device, ifindex);
  }

  attachContainer(device: string, ifindex: number): void {
    this.#attachDevice('from_container', device, ifindex);
  }

  /** Forgets a device that is going away or is gone. */
  detachContainer(device: string): void {
    const name = `from_container-${device}`;
    this.#targets.get(name)?.link.close();
    this.#targets.delete(name);
    detachPinned(this.#options.native, this.#pin(name));
  }

  /** Refuses binds to NAT ports in the cgroup's processes, in the namespace that the configuration names. */
  guardBinds(cgroup: string): void {
    for (const [program, attachType] of Object.entries(BIND_HOOKS)) {
      this.#attach(program, { program, target: cgroup, kind: 'cgroup' }, () => {
        const { native } = this.#options;
        return attachCgroup({ native, program: this.#program(program), cgroup, attachType, pin: this.#pin(program) }).link;
      });
    }
  }

  /** Removes dead flows now, in the kernel, off the event loop. */
  async sweep(): Promise<void> {
    if (this.#object !== undefined) await this.#run('sweep_flows');
  }

  /** Removes the flows of a pod that is gone, so that the next owner of its address and ports finds them free. */
  async removeFlows(ifindex: number): Promise<void> {
    if (this.#object === undefined) return;
    await this.#run('sweep_endpoint', this.#object.encodeStruct('sweep_request', { ifindex }));
  }

  /** Closes descriptors; what is pinned or attached stays. */
  close(): void {
    this.#events?.close();
    for (const { link } of this.#targets.values()) link.close();
    for (const program of this.#programs.values()) program.close();
    this.#programs.clear();
    this.#object?.close();
  }

  #attachDevice(program: string, device: string, ifindex: number): void {
    const name = `${program}-${device}`;
    const { native, attach, onNote } = this.#options;
    const refresh = () => {
      const attached = attachDevice({
        native,
        program: this.#program(program),
        ifindex,
        side: 'ingress',
        mode: attach,
        pin: this.#pin(name),
      });
      if (attached.fallback !== undefined) {
        onNote({ device, reason: attached.fallback.message }, 'no tcx here: attached with clsact instead');
      }
      return attached.link;
    };
    this.#targets.get(name)?.link.close();
    const link = refresh();
    this.#targets.set(name, { attachment: { program, target: device, kind: link.kind }, refresh, link });
  }

  #attach(name: string, attachment: Attachment, refresh: () => NativeLink): void {
    this.#targets.set(name, { attachment, refresh, link: refresh() });
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

  async #run(name: string, context?: Uint8Array): Promise<void> {
    const { retval } = await this.#program(name).run(context === undefined ? {} : { context });
    if (retval !== 0) throw new BpfError(`program ${name} returned ${retval}`);
  }

  #pin(name: string): string {
    return join(this.#options.bpffs, 'links', name);
  }

  /** Reading ip_summed needs a kernel that offers it (6.2): without it, checksums go by helpers. */
  async #loadObject(config: DatapathConfig): Promise<DatapathObject> {
    try {
      return await this.#loadWith({ ...config, fast_checksum: this.#fastChecksum ? 1 : 0 });
    } catch (error) {
      if (!this.#fastChecksum) throw error;
      const object = await this.#loadWith({ ...config, fast_checksum: 0 }).catch(() => {
        throw error;
      });
      this.#fastChecksum = false;
      this.#options.onNote({ reason: (error as Error).message }, 'checksums go by helpers: the fast way did not load');
      return object;
    }
  }

  async #loadWith(config: Config): Promise<DatapathObject> {
    const { native, objectPath, bpffs, flowEntries } = this.#options;
    const object = BpfObject.open<Maps, Config>(native, objectPath);
    try {
      mkdirSync(join(bpffs, 'links'), { recursive: true });
      object.configure(config);
      object.setMaxEntries('flows', flowEntries);
      const created = PINNED.filter((name) => !this.#reuse(object, name));
      await object.load();
      for (const name of created) object.pinMap(name, join(bpffs, name));
      return object;
    } catch (error) {
      object.close();
      throw error;
    }
  }

  /** A pinned map of another layout cannot be read by the new programs: it gives way to an empty one. */
  #reuse(object: DatapathObject, name: (typeof PINNED)[number]): boolean {
    const path = join(this.#options.bpffs, name);
    try {
      return object.reuseMap(name, path);
    } catch (error) {
      if (!(error instanceof BpfError) || error.code !== 'ERR_LAYOUT') throw error;
      const lost = name === 'flows' ? 'translated connections begin anew' : 'it is filled again';
      this.#options.onNote({ map: name, reason: error.message }, `pinned map has another layout: ${lost}`);
      rmSync(path, { force: true });
      return false;
    }
  }

  #onEvents(events: readonly RingEvent[]): void {
    for (const event of events) {
      if (event.type === 'drop_event') this.#options.onDrop(event.value as Readonly<Record<string, unknown>>);
    }
  }
}
