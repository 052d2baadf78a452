// The addresses in a CNI result of any version: an IPAM plugin's, or that of the plugins before ours.
import { z } from 'zod';
import { AddressError, type IpAddress, parseAddress } from '../model/address.js';
import { CNI_CODES, CniError } from './cni-error.js';

const OldAddress = z.looseObject({ ip: z.string() });

/** What is asked of a result; the rest is kept as it is. */
export const CniResult = z.looseObject({
  /** Since 0.3.0. Without `sandbox` it is in the node's namespace. */
  interfaces: z.array(z.looseObject({ name: z.string(), sandbox: z.string().nullish() })).nullish(),
  /** Since 0.3.0. `interface` is an index in `interfaces`. */
  ips: z.array(z.looseObject({ address: z.string(), interface: z.int().nullish() })).nullish(),
  /** Before 0.3.0. */
  ip4: OldAddress.nullish(),
  ip6: OldAddress.nullish(),
  dns: z.looseObject({}).nullish(),
});

export type CniResult = z.infer<typeof CniResult>;

/** All of them, without prefix lengths. Throws CniError when one is none. */
export function addressesIn(result: CniResult): IpAddress[] {
  return textsIn(result).map(addressOf);
}

/** Those of one interface of the container, and those of which the result does not say whose they are. */
export function addressesAt(result: CniResult, interfaceName: string): IpAddress[] {
  const { interfaces, ips } = result;
  const own = (index: number | null | undefined): boolean => {
    const owner = index == null ? undefined : interfaces?.[index];
    return owner === undefined || (owner.name === interfaceName && isInContainer(owner));
  };
  return textsIn({ ...result, ips: (ips ?? []).filter((ip) => own(ip.interface)) }).map(addressOf);
}

/** Names of the node's own interfaces; undefined in a result that is older than interfaces. */
export function nodeInterfaces({ interfaces }: CniResult): string[] | undefined {
  return interfaces?.filter((each) => !isInContainer(each)).map(({ name }) => name);
}

/** What is not given may be empty. */
function isInContainer({ sandbox }: { readonly sandbox?: string | null | undefined }): boolean {
  return sandbox != null && sandbox !== '';
}

function textsIn({ ips, ip4, ip6 }: CniResult): string[] {
  return [...(ips ?? []).map(({ address }) => address), ...[ip4, ip6].flatMap((old) => old?.ip ?? [])];
}

function addressOf(text: string): IpAddress {
  try {
    return parseAddress(text.replace(/\/\d{1,3}$/, ''));
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new CniError(CNI_CODES.invalidConfig, `the address '${text}' of a CNI result is none`, error.message);
  }
}
