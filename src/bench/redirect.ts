// Inside a node's namespace: hands packets from device to device with the smallest program there is.
import type { NativeLink } from '../bpf/native.js';
import { attachIngress, loadPrograms } from './programs.js';

export interface Redirect {
  /** Indexes of devices. */
  readonly from: number;
  readonly to: number;
  /** Into the namespace of the other end of `to`, in place of out of `to`. */
  readonly peer: boolean;
}

export interface RedirectQuestion {
  readonly redirects: readonly Redirect[];
}

/** Kept: a tcx link lives as long as its descriptor. */
const links: NativeLink[] = [];

export async function serve({ redirects }: RedirectQuestion): Promise<number> {
  for (const { from, to, peer } of redirects) {
    const object = await loadPrograms({ ifindex: to });
    links.push(attachIngress(object.program(peer ? 'redirect_peer' : 'redirect_out'), from));
  }
  return links.length;
}
