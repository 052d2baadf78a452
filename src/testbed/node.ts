// A node that runs an agent in a network namespace, and the pods on it.
import type { Cidr, Family, IpAddress } from '../model/address.js';

export type AddressPair = Readonly<Record<Family, IpAddress>>;
export type CidrPair = Readonly<Record<Family, Cidr>>;
export type AttachChoice = 'auto' | 'tcx' | 'clsact';
export type SocketsChoice = 'auto' | 'never';
export type XdpChoice = 'auto' | 'native' | 'generic' | 'never';

/** What the agents of a testbed are told beside their places. */
export interface AgentChoices {
  readonly attach: AttachChoice;
  /** Whether services are for sockets too. */
  readonly sockets: SocketsChoice;
  /** How packets that go back to the wire are handled before the stack. */
  readonly xdp: XdpChoice;
}

/** The uplink's name inside every node and outside host. */
export const UPLINK = 'eth0';

export interface TestNode {
  readonly name: string;
  readonly netns: string;
  readonly addresses: AddressPair;
  readonly podCIDRs: CidrPair;
  readonly stateDir: string;
}

export interface TestPod {
  /** How people name it. */
  readonly id: string;
  readonly name: string;
  readonly netns: string;
  /** Stands in for the container id that a runtime would give. */
  readonly containerID: string;
}
