// Attaches programs and keeps them attached: a pinned link is updated in place, so no packet misses the program.
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { BpfError, isNativeError, messageOf } from './error.js';
import type { Native, NativeLink, NativeProgram, Side } from './native.js';

/** `auto` tries tcx and takes clsact where the kernel refuses. */
export type AttachMode = 'auto' | 'tcx' | 'clsact';

export interface DeviceTarget {
  readonly native: Native;
  readonly program: NativeProgram;
  readonly ifindex: number;
  readonly side: Side;
  readonly mode: AttachMode;
  /** Where the link is pinned: it stays attached when the process ends. */
  readonly pin: string;
}

export interface CgroupTarget {
  readonly native: Native;
  readonly program: NativeProgram;
  readonly cgroup: string;
  /** enum bpf_attach_type. */
  readonly attachType: number;
  readonly pin: string;
}

/** `native`: by the device's driver, before there is an skb; `generic`: by the kernel, for any device, after it. */
export type XdpMode = 'native' | 'generic';

export interface XdpTarget {
  readonly native: Native;
  readonly program: NativeProgram;
  readonly ifindex: number;
  readonly mode: XdpMode;
  /** A link keeps its mode, so each mode has a pin of its own. */
  readonly pin: string;
}

export interface Attached {
  readonly link: NativeLink;
  readonly how: 'created' | 'updated';
  /** Why tcx was not used, when it was tried. */
  readonly fallback?: Error;
}

/** Attaches to a network device, or replaces the program there. Throws BpfError. */
export function attachDevice(target: DeviceTarget): Attached {
  if (target.mode === 'clsact') return attachFilter(target);
  try {
    return updatePinned(target.native, target.program, target.pin) ?? createTcx(target);
  } catch (error) {
    throw error instanceof BpfError ? error : attachError(target, error);
  }
}

/**
 * Attaches to a device on which nothing is yet, without the grace period of the kernel that a link costs: by a filter,
 * unless the mode says otherwise. attachDevice() puts a link in its place. Throws BpfError.
 */
export function attachDeviceAtOnce(target: DeviceTarget): Attached {
  return target.mode === 'tcx' ? attachDevice(target) : attachFilter(target);
}

function createTcx(target: DeviceTarget): Attached {
  const { native, program, ifindex, side, mode, pin } = target;
  let link: NativeLink;
  try {
    link = native.attachTcx(program, ifindex, side);
  } catch (error) {
    if (mode === 'tcx' || !isNativeError(error)) throw error;
    return { ...attachFilter(target), fallback: error };
  }
  const attached = pinned(link, pin);
  native.detachClsact(program, ifindex, side); // of a time when the mode was another: a packet is seen once
  return attached;
}

/** Attaches to a cgroup, or replaces the program there. Throws BpfError. */
export function attachCgroup({ native, program, cgroup, attachType, pin }: CgroupTarget): Attached {
  try {
    return updatePinned(native, program, pin) ?? pinned(native.attachCgroup(program, cgroup, attachType), pin);
  } catch (cause) {
    throw new BpfError(`cannot attach ${program.info.name} to cgroup ${cgroup}: ${messageOf(cause)}`, { cause });
  }
}

/** XDP_FLAGS_DRV_MODE and XDP_FLAGS_SKB_MODE: without one of them the kernel falls back in silence. */
const XDP_FLAGS: Readonly<Record<XdpMode, number>> = { native: 4, generic: 2 };

/** Attaches to a network device before its packets have an skb, or replaces the program there. Throws BpfError. */
export function attachXdp({ native, program, ifindex, mode, pin }: XdpTarget): Attached {
  try {
    return updatePinned(native, program, pin) ?? pinned(native.attachXdp(program, ifindex, XDP_FLAGS[mode]), pin);
  } catch (cause) {
    const what = `cannot attach ${program.info.name} to device ${ifindex} in ${mode} mode`;
    throw new BpfError(`${what}: ${messageOf(cause)}`, { cause });
  }
}

/** Detaches what is pinned at `pin`; false when nothing is. */
export function detachPinned(native: Native, pin: string): boolean {
  const link = openPinned(native, pin);
  link?.detach();
  link?.close();
  return link !== undefined;
}

/** A tc filter needs no pin. A link that an earlier run pinned is detached after it: a packet is seen twice, not never. */
function attachFilter(target: DeviceTarget): Attached {
  try {
    const link = target.native.attachClsact(target.program, target.ifindex, target.side);
    detachPinned(target.native, target.pin);
    return { link, how: 'created' };
  } catch (error) {
    throw attachError(target, error);
  }
}

function updatePinned(native: Native, program: NativeProgram, pin: string): Attached | undefined {
  const link = openPinned(native, pin);
  if (link === undefined) return undefined;
  try {
    link.update(program);
    return { link, how: 'updated' };
  } catch (error) {
    link.close();
    if (!isNativeError(error) || error.code !== 'ENOLINK') throw error;
    rmSync(pin, { force: true }); // its device or cgroup is gone, the pin was all that was left of it
    return undefined;
  }
}

function pinned(link: NativeLink, pin: string): Attached {
  try {
    mkdirSync(dirname(pin), { recursive: true });
    link.pin(pin);
  } catch (error) {
    link.close(); // without a pin this detaches: better none than one that vanishes with the process
    throw error;
  }
  return { link, how: 'created' };
}

function openPinned(native: Native, pin: string): NativeLink | undefined {
  try {
    return native.openPinnedLink(pin);
  } catch (error) {
    if (isNativeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function attachError({ program, ifindex, side, mode }: DeviceTarget, cause: unknown): BpfError {
  const what = `cannot attach ${program.info.name} to ${side} of device ${ifindex} (mode ${mode})`;
  return new BpfError(`${what}: ${messageOf(cause)}; what was attached before stays`, { cause });
}
