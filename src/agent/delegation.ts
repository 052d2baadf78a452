// Delegated IPAM: another plugin chooses the addresses. The shim runs it, for it stands where the plugins are.
import { z } from 'zod';
import { contains, type IpAddress } from '../model/address.js';
import type { Node } from '../model/node.js';
import type { CniCall, IpamOutcome } from './cni.js';
import { addressesIn, CniResult } from './cni-addresses.js';
import { CNI_CODES, CniError } from './cni-error.js';

/** Instead of an answer: run this plugin with the same input and environment, then ask again with its outcome. */
export class Delegation {
  readonly command: CniCall['command'];
  readonly type: string;

  constructor(command: CniCall['command'], type: string) {
    this.command = command;
    this.type = type;
  }
}

/** What an IPAM plugin gave to a pod. */
export interface IpamGrant {
  readonly addresses: readonly IpAddress[];
  readonly dns: Readonly<Record<string, unknown>>;
}

const Refusal = z.looseObject({ code: z.int(), msg: z.string(), details: z.string().optional() });

/** undefined when nothing is delegated or it is done; throws the plugin's own error. */
export function delegationOf({ command, ipamType, ipam }: CniCall): Delegation | undefined {
  if (ipamType === undefined) return undefined;
  if (ipam === undefined) return new Delegation(command, ipamType);
  if (ipam.status === 0) return undefined;
  const refusal = Refusal.safeParse(parseJson(ipam));
  if (refusal.success) throw new CniError(refusal.data.code, refusal.data.msg, refusal.data.details);
  const what = `the IPAM plugin ${ipamType} ended ${command} with status ${ipam.status}`;
  throw new CniError(CNI_CODES.ioFailure, what, ipam.output.slice(0, 1000));
}

/** The addresses of a result. Throws CniError when the pod cannot have them. */
export function grantOf({ ipamType = '', ipam }: CniCall, node: Node): IpamGrant | undefined {
  if (ipam === undefined) return undefined;
  const result = CniResult.safeParse(parseJson(ipam));
  const giver = `the IPAM plugin ${ipamType}`;
  if (!result.success) throw unusable(giver, 'its result is not one', ipam.output.slice(0, 1000));
  const addresses = addressesIn(result.data);
  if (addresses.length === 0) throw unusable(giver, 'its result has no address', ipam.output.slice(0, 1000));
  checkInside(addresses, node, giver);
  return { addresses, dns: result.data.dns ?? {} };
}

/** Throws CniError with the first address, of whoever gave it, that no other node would look for here. */
export function checkInside(addresses: readonly IpAddress[], node: Node, giver: string): void {
  const stray = addresses.find((address) => !node.podCIDRs.some((cidr) => contains(cidr, address)));
  if (stray === undefined) return;
  const why = `other nodes look for ${node.podCIDRs.join(', ') || 'no address'} here`;
  throw unusable(giver, `its address ${stray} lies outside the pod CIDRs of node ${node.name}`, why);
}

function unusable(giver: string, reason: string, details: string): CniError {
  return new CniError(CNI_CODES.invalidConfig, `${giver}: ${reason}`, details);
}

function parseJson({ output }: IpamOutcome): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}
