// How kube-proxy names its chains: a hash of the Service's port and of the endpoint.
import { createHash } from 'node:crypto';
import { PORT_NAME, type ServedBackend, type ServedService } from '../services.js';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Of the hash, characters. */
const IPTABLES_LENGTH = 16;
const NFTABLES_LENGTH = 8;

/** `ns1/svc1:p80` */
export function portName({ namespace, name }: ServedService): string {
  return `${namespace}/${name}:${PORT_NAME}`;
}

/** `tcp`, as rules have it. */
export function protocolOf({ protocol }: ServedService): string {
  return protocol.toLowerCase();
}

/** `KUBE-SVC-...`, and with another prefix the chain of its external addresses. */
export function serviceChain(service: ServedService, prefix: 'SVC' | 'EXT' = 'SVC'): string {
  return `KUBE-${prefix}-${hash(`${portName(service)}${protocolOf(service)}`, IPTABLES_LENGTH)}`;
}

/** `KUBE-SEP-...` */
export function endpointChain(service: ServedService, { address, port }: ServedBackend): string {
  return `KUBE-SEP-${hash(`${portName(service)}${protocolOf(service)}${address}:${port}`, IPTABLES_LENGTH)}`;
}

/** `ULMVA6XW-ns1/svc1/tcp/p80`: nftables has room for the names themselves. */
export function nftName(service: ServedService, backend?: ServedBackend): string {
  const endpoint = backend === undefined ? '' : `__${backend.address}/${backend.port}`;
  const text = `${service.namespace}/${service.name}/${protocolOf(service)}/${PORT_NAME}${endpoint}`;
  return `${hash(text, NFTABLES_LENGTH)}-${text}`;
}

/** The beginning of the SHA-256 in base 32 (RFC 4648). */
export function hash(text: string, length: number): string {
  const bytes = createHash('sha256').update(text).digest();
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  const all = BigInt(bytes.length * 8);
  const digit = (index: number): string => BASE32[Number((bits >> (all - 5n * BigInt(index + 1))) & 31n)] ?? '';
  return Array.from({ length }, (_, index) => digit(index)).join('');
}
