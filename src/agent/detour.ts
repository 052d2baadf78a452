// Whether fragments that arrive out of order are put in order on a detour, and what does it.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FragmentState } from '../api/protocol.js';
import { messageOf } from '../bpf/error.js';
import { detachPinned } from '../bpf/link.js';
import type { Native } from '../bpf/native.js';
import { FAMILIES } from '../model/address.js';
import {
  buildDetour,
  CUT,
  DETOUR_DIRECTIONS,
  type DetourDirection,
  type DetourEnd,
  type DetourName,
  type DetourOptions,
  limitDetour,
  removeDetour,
  routeCuts,
} from '../net/detour.js';
import { namespacePath } from '../net/netns.js';

/**
 * A rule that needs fragments joined, in a chain that no packet reaches: its being there switches reassembly on, and
 * nothing else; no connection is tracked.
 */
const NFT_RULES = ['ip', 'ip6']
  .flatMap((family) => [
    `add table ${family} isthmus`,
    `add chain ${family} isthmus defrag`,
    `flush chain ${family} isthmus defrag`,
    `add rule ${family} isthmus defrag meta l4proto udp tproxy to :1`,
  ])
  .join('\n');

export interface OpenDetourOptions extends DetourOptions {
  readonly native: Native;
  readonly bpffs: string;
  /** `auto`: where it is possible. */
  readonly wanted: 'auto' | 'cache';
}

export interface Detour {
  readonly state: FragmentState;
  /** Of both directions and of the namespace that cuts, or none. */
  readonly ends: readonly DetourEnd[];
}

/** Makes or takes over the namespaces. Never throws: without them, fragments are served in order only and nothing is cut. */
export function openDetour(options: OpenDetourOptions): Detour {
  if (options.wanted === 'cache') {
    closeDetour(options);
    return { state: { mode: 'cache' }, ends: [] };
  }
  try {
    const built = DETOUR_DIRECTIONS.map((direction) => openDirection(options, direction));
    const ends = [...built.map(({ end }) => end), openCut(options)];
    return { state: { mode: 'detour', defrag: built[0]?.defrag ?? 'netfilter' }, ends };
  } catch (error) {
    const reason = messageOf(error);
    try {
      closeDetour(options);
    } catch {
      // What is left of it is unused; the next start tries again.
    }
    return { state: { mode: 'cache', reason }, ends: [] };
  }
}

/** Removes what openDetour() made. */
export function closeDetour(options: OpenDetourOptions): void {
  for (const direction of DETOUR_DIRECTIONS) {
    detachDefrag(options, direction);
    closeEnd(options, direction);
  }
  closeEnd(options, CUT);
}

function closeEnd(options: OpenDetourOptions, name: DetourName): void {
  detachPinned(options.native, join(options.bpffs, 'links', `from_detour-ist-fr-${name}`));
  removeDetour(options, name);
}

function openCut(options: OpenDetourOptions): DetourEnd {
  const end = buildDetour(options, CUT);
  routeCuts(end);
  return end;
}

type Defrag = NonNullable<FragmentState['defrag']>;

function openDirection(options: OpenDetourOptions, direction: DetourDirection): { end: DetourEnd; defrag: Defrag } {
  const end = buildDetour(options, direction);
  if (!end.adopted) detachDefrag(options, direction);
  const defrag = switchDefragOn(options, direction, end.namespace);
  limitDetour(options.net, end.namespace);
  return { end, defrag };
}

/** The first way that the kernel takes. */
function switchDefragOn(options: OpenDetourOptions, direction: DetourDirection, namespace: string): Defrag {
  try {
    attachDefrag(options, direction, namespace);
    return 'netfilter';
  } catch (error) {
    runNft(namespace, messageOf(error));
    return 'nft';
  }
}

/** The link's pin keeps reassembly on when the agent is gone. */
function attachDefrag({ native, bpffs }: OpenDetourOptions, direction: DetourDirection, namespace: string): void {
  mkdirSync(join(bpffs, 'detour'), { recursive: true });
  for (const family of FAMILIES) {
    const pin = defragPin(bpffs, direction, family);
    if (isPinned(native, pin)) continue;
    const link = native.attachDefrag(namespacePath(namespace), family);
    try {
      link.pin(pin);
    } finally {
      link.close();
    }
  }
}

function isPinned(native: Native, pin: string): boolean {
  try {
    native.openPinnedLink(pin).close();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return false;
    throw error;
  }
}

function detachDefrag({ native, bpffs }: OpenDetourOptions, direction: DetourDirection): void {
  for (const family of FAMILIES) detachPinned(native, defragPin(bpffs, direction, family));
}

function defragPin(bpffs: string, direction: DetourDirection, family: string): string {
  return join(bpffs, 'detour', `${direction}-${family}`);
}

function runNft(namespace: string, before: string): void {
  const argv = [`--net=${namespacePath(namespace)}`, 'nft', '-f', '-'];
  const { status, stderr, error } = spawnSync('nsenter', argv, { input: `${NFT_RULES}\n`, encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`no reassembly: neither by a BPF link (${before}) nor by nft (${error?.message ?? stderr.trim()})`);
}
