// Declares and documents the BPF addon (native/, over libbpf); the only file that loads it.
import { createRequire } from 'node:module';

/** A map as the object file or the kernel describes it. Type ids refer to `btf`. */
export interface MapInfo {
  readonly name: string;
  /** enum bpf_map_type */
  readonly type: number;
  /** Kernel id; 0 before load. */
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** BTF type ids of key and value; 0 when the map has no BTF. */
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

export interface ProgramInfo {
  readonly name: string;
  readonly section: string;
  /** enum bpf_prog_type */
  readonly type: number;
  /** 0 before load. */
  readonly id: number;
  /** Instructions the verifier walked (5.16); bytes of native code; instructions after translation. 0 before load. */
  readonly verifiedInstructions: number;
  readonly jitedBytes: number;
  readonly instructions: number;
  /** Hex. */
  readonly tag: string;
}

export interface TestRunOptions {
  /** Packet in; absent for a syscall program. */
  readonly data?: Uint8Array;
  /** struct __sk_buff or program context, in and out. */
  readonly context?: Uint8Array;
  /** Times to run; 1 when absent. */
  readonly repeat?: number;
  /** BPF_F_TEST_*; 2 = XDP_LIVE_FRAMES: what an XDP program redirects is really sent (5.18). */
  readonly flags?: number;
  /** Packets of one batch of live frames; the kernel's choice (64) when absent. */
  readonly batchSize?: number;
}

export interface TestRunResult {
  readonly retval: number;
  readonly data: Buffer;
  readonly context: Buffer;
  /** Mean nanoseconds of one run. */
  readonly duration: number;
}

export interface NativeObject {
  /** Raw BTF of the object file. */
  readonly btf: Buffer;
  maps(): MapInfo[];
  programs(): ProgramInfo[];
  /** Contents of `.rodata` before load, as a copy. */
  rodata(): Buffer;
  setRodata(bytes: Uint8Array): void;
  setMaxEntries(map: string, entries: number): void;
  /** Whether a program is loaded at all. */
  setAutoload(program: string, load: boolean): void;
  /** Uses the map pinned at `path` instead of a new one (before load). */
  reuseMap(map: string, path: string): void;
  /** Verifies and loads off the event loop. Rejects with NativeError (verifier log tail in `log`). */
  load(): Promise<void>;
  pinMap(map: string, path: string): void;
  /** After load; each call gives a handle with its own descriptor. */
  map(name: string): NativeMap;
  program(name: string): NativeProgram;
  close(): void;
}

/** Keys and values are flat buffers of keySize and valueSize; per-CPU values are `cpus * roundup8(valueSize)` long. */
export interface NativeMap {
  readonly info: MapInfo;
  /** Raw BTF that describes this map, from the kernel; empty when it has none. Needs CAP_SYS_ADMIN. */
  btf(): Buffer;
  /** Bytes of one value as user space sees it (per-CPU maps: all CPUs). */
  readonly valueBytes: number;
  lookup(key: Uint8Array): Buffer | undefined;
  /** flags: 0 any, 1 NOEXIST, 2 EXIST. */
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** false when there was no such key. */
  delete(key: Uint8Array): boolean;
  /** `count` keys and values back to back; falls back to single updates where the kernel has no batch for the type. */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): void;
  /** Missing keys are not an error. Returns how many were deleted. */
  deleteBatch(keys: Uint8Array, count: number): number;
  /** Starts a walk; a concurrent change may show an entry twice or not at all, as in the kernel. */
  iterate(): NativeMapIterator;
  pin(path: string): void;
  close(): void;
}

export interface NativeMapIterator {
  /** At most `count` entries, undefined at the end. One call stays well under 5 ms for count <= 4096. */
  next(count: number): { keys: Buffer; values: Buffer; count: number } | undefined;
}

export interface NativeProgram {
  readonly info: ProgramInfo;
  /** BPF_PROG_TEST_RUN on the event loop: for packet programs. */
  testRun(options: TestRunOptions): TestRunResult;
  /** The same on a worker thread: for syscall programs that take long. */
  run(options: TestRunOptions): Promise<TestRunResult>;
  pin(path: string): void;
  close(): void;
}

/** An attachment. tcx, xdp and cgroup are bpf_links; clsact is a tc filter, which stays without a pin. */
export type AttachKind = 'tcx' | 'clsact' | 'xdp' | 'cgroup' | 'netfilter';

export interface NativeLink {
  readonly kind: AttachKind;
  /** Replaces the program atomically. */
  update(program: NativeProgram): void;
  /** No effect for clsact. */
  pin(path: string): void;
  /** Removes the attachment and its pin. */
  detach(): void;
  /** Closes the descriptor; a pinned link and a clsact filter stay attached. */
  close(): void;
}

/** Which connected sockets of a namespace are wanted. */
export interface SocketQuery {
  /** Path of the network namespace; the caller's own when absent. */
  readonly netns?: string;
  /** IANA number: 6 or 17. */
  readonly protocol: number;
  /** Only those with this peer: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
  readonly remote?: Uint8Array;
}

export interface NativeSocket {
  /** What destroySockets() knows it by, and no other socket, also not a later one. */
  readonly name: Buffer;
  readonly cookie: bigint;
}

/** Which side of a device: `ingress` is what the kernel calls so (from the wire, or from the pod on a veth's host side). */
export type Side = 'ingress' | 'egress';

export interface Native {
  openObject(path: string): NativeObject;
  openPinnedMap(path: string): NativeMap;
  openPinnedProgram(path: string): NativeProgram;
  /** The pinned link's kind is read from the kernel. */
  openPinnedLink(path: string): NativeLink;
  /** Throws NativeError with errno name EINVAL or similar where the kernel has no tcx. Kernel 6.6. */
  attachTcx(program: NativeProgram, ifindex: number, side: Side): NativeLink;
  /**
   * Adds the clsact qdisc when absent and replaces the filter (priority 1, handle 1). Throws EEXIST when the filter
   * there has a program of another name: it is another's.
   */
  attachClsact(program: NativeProgram, ifindex: number, side: Side): NativeLink;
  /** Removes that filter when its program has this program's name; false when it is not there. */
  detachClsact(program: NativeProgram, ifindex: number, side: Side): boolean;
  /** flags: XDP_FLAGS_*; 0 lets the kernel choose. */
  attachXdp(program: NativeProgram, ifindex: number, flags: number): NativeLink;
  /** attachType: enum bpf_attach_type, e.g. 8 = BPF_CGROUP_INET4_BIND. */
  attachCgroup(program: NativeProgram, cgroupPath: string, attachType: number): NativeLink;
  /**
   * Has fragments of the family joined before routing in the network namespace at the path, for as long as the link
   * lives (6.6). Throws NativeError where the kernel has no such link.
   */
  attachDefrag(netnsPath: string, family: 'ipv4' | 'ipv6'): NativeLink;
  /** Off the event loop. Rejects with NativeError. */
  listSockets(query: SocketQuery): Promise<NativeSocket[]>;
  /** What an iterator program (iter/udp, iter/tcp; 5.9) wrote about the sockets of a namespace. Off the event loop. */
  walkSockets(program: NativeProgram, netns?: string): Promise<Buffer>;
  /**
   * Ends sockets of a namespace: their programs get ECONNABORTED. Off the event loop. Resolves to how many there still
   * were; rejects with NativeError, EOPNOTSUPP where the kernel was built without INET_DIAG_DESTROY.
   */
  destroySockets(netns: string | undefined, names: readonly Uint8Array[]): Promise<number>;
  /** One callback with all records of a drain back to back: u32 length, u32 zero, bytes padded to 8. */
  openRingBuffer(map: NativeMap, onDrain: (records: Buffer) => void): { close(): void };
  /** Raw BTF of the running kernel. Throws when the kernel has none. */
  kernelBtf(): Buffer;
  /** Kernel BTF by id, e.g. a map's. Needs CAP_SYS_ADMIN. */
  btfById(id: number): Buffer;
  /** Number of CPUs that per-CPU values have room for. */
  readonly possibleCpus: number;
}

/** Thrown by every call: operation, errno name and, for load, the tail of the verifier log. */
export interface NativeError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly operation: string;
  readonly log?: string;
}

const require = createRequire(import.meta.url);
/** The project's folder, from src/ as from build/src/. */
const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

/** Loads the addon that `npm run build` made. `ISTHMUS_NATIVE_DIR` names another build, e.g. the sanitizer's. */
export function loadNative(): Native {
  const directory = process.env.ISTHMUS_NATIVE_DIR ?? `${ROOT}/build/native`;
  return require(`${directory}/bpf.node`) as Native;
}
