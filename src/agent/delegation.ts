// Delegated IPAM: another plugin chooses the addresses. The shim runs it, for it stands where the plugins are.
import { z } from 'zod';
import { contains, type IpAddress, parseAddress } from '../model/address.js';
import type { Node } from '../model/node.js';
import type { CniCall, IpamOutcome } from './cni.js';
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

const OldAddress = z.looseObject({ ip: z.string() });

const Result = z.looseObject({
  ips: z.array(z.looseObject({ address: z.string() })).nullish(),
  ip4: OldAddress.nullish(),
  ip6: OldAddress.nullish(),
  dns: z.looseObject({}).nullish(),
});

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
  const result = Result.safeParse(parseJson(ipam));
  if (!result.success) throw unusable(ipamType, 'its result is not one', ipam.output.slice(0, 1000));
  const { ips, ip4, ip6, dns } = result.data;
  const texts = [...(ips ?? []).map(({ address }) => address), ...[ip4, ip6].flatMap((old) => old?.ip ?? [])];
  if (texts.length === 0) throw unusable(ipamType, 'its result has no address', ipam.output.slice(0, 1000));
  const addresses = texts.map((text) => parseAddress(text.split('/')[0] ?? ''));
  const stray = addresses.find((address) => !node.podCIDRs.some((cidr) => contains(cidr, address)));
  if (stray === undefined) return { addresses, dns: dns ?? {} };
  const why = `other nodes look for ${node.podCIDRs.join(', ') || 'no address'} here`;
  throw unusable(ipamType, `its address ${stray} lies outside the pod CIDRs of node ${node.name}`, why);
}

function unusable(type: string, reason: string, details: string): CniError {
  return new CniError(CNI_CODES.invalidConfig, `the IPAM plugin ${type}: ${reason}`, details);
}

function parseJson({ output }: IpamOutcome): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}
