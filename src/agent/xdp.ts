// Packets that go from the wire back to the wire: before the stack where that harms nothing else, and why not where not.
import type { Logger } from 'pino';
import type { XdpState } from '../api/protocol.js';
import type { XdpMode } from '../bpf/link.js';
import type { Datapath } from '../datapath/datapath.js';
import type { LinkInfo } from '../net/native.js';
import type { Settings } from './settings.js';

export interface XdpOptions {
  readonly datapath: Datapath;
  readonly uplink: LinkInfo;
  readonly wanted: Settings['xdp'];
  readonly log: Logger;
}

/** Every packet would be copied by it, and what it saves is little. */
const NO_FALLBACK = 'generic mode is not chosen by itself, because it turns off GRO for all traffic of the device';
const VETH = 'the uplink is a veth, whose other end would lose segmentation offload for all of its traffic';

/** Puts the program on the uplink, or takes it off. Never throws: without it, tc does the same, later. */
export function attachXdp({ datapath, uplink, wanted, log }: XdpOptions): XdpState {
  const { name, ifindex, kind } = uplink;
  const mode: XdpMode = wanted === 'generic' ? 'generic' : 'native';
  const refused = wanted === 'auto' && kind === 'veth' ? `${VETH}; --xdp native has it anyway` : undefined;
  if (wanted === 'never' || refused !== undefined) {
    datapath.leaveXdp(name, 'native', 'generic');
    return { mode: 'tc', ...(refused !== undefined && { reason: refused }) };
  }
  try {
    datapath.attachXdp(name, ifindex, mode);
    return { mode };
  } catch (error) {
    const reason = `${(error as Error).message}${mode === 'native' ? `; ${NO_FALLBACK}` : ''}`;
    log.info({ reason }, 'packets that go back to the wire are handled by tc');
    return { mode: 'tc', reason };
  }
}
