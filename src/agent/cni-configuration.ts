// The network configuration that a container runtime passes to the CNI plugin, and what it wishes for a pod.
import { z } from 'zod';
import { AddressError, familyOf, type IpAddress, parseAddress } from '../model/address.js';
import type { Bandwidth, HostPort, Limit } from '../model/endpoint.js';
import type { CniArguments } from './cni-arguments.js';
import { CNI_CODES, CNI_VERSIONS, CniError } from './cni-error.js';

/** What the runtime wants of a pod beyond a connection. */
export interface Wishes {
  /** At most one of a family; of the others, any will do. */
  readonly addresses: readonly IpAddress[];
  readonly mac?: string;
  readonly hostPorts: readonly HostPort[];
  readonly bandwidth?: Bandwidth;
  /** Passed on as it is. */
  readonly dns: Readonly<Record<string, unknown>>;
}

const Port = z.int().min(1).max(65_535);
/** As of Kubernetes; a runtime passes also numbers beyond 32 bits. */
const Bits = z.number().min(0).max(Number.MAX_SAFE_INTEGER).default(0);

const protocol = z
  .string()
  .default('tcp')
  .transform((text) => text.toUpperCase())
  .pipe(z.enum(['TCP', 'UDP', 'SCTP']));

const RuntimeConfig = z.looseObject({
  portMappings: z
    .array(z.looseObject({ hostPort: Port, containerPort: Port, protocol, hostIP: z.string().default('') }))
    .nullish(),
  bandwidth: z.looseObject({ ingressRate: Bits, ingressBurst: Bits, egressRate: Bits, egressBurst: Bits }).nullish(),
  ips: z.array(z.string()).nullish(),
  mac: z.string().nullish(),
  dns: z
    .looseObject({
      servers: z.array(z.string()).nullish(),
      searches: z.array(z.string()).nullish(),
      options: z.array(z.string()).nullish(),
    })
    .nullish(),
});

const Args = z.looseObject({
  cni: z.looseObject({ ips: z.array(z.string()).nullish(), mac: z.string().nullish() }).nullish(),
});

/** What a plugin may be called: it is looked for in the directories of CNI_PATH. */
const PLUGIN_TYPE = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

const Configuration = z.looseObject({
  cniVersion: z.enum(CNI_VERSIONS),
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/, { error: 'letters, digits, _, . and - make a name' }),
  ipam: z.looseObject({ type: z.string().regex(PLUGIN_TYPE).optional() }).optional(),
  dns: z.looseObject({}).optional(),
  // For the runtime; whether plugins behind this one may limit the bandwidth is all that matters here.
  capabilities: z.looseObject({ bandwidth: z.unknown().optional() }).nullish().catch(undefined),
  runtimeConfig: z.unknown().optional(),
  args: z.unknown().optional(),
  /** Read where it counts: a pod must be able to go whatever it says. */
  prevResult: z.unknown().optional(),
  /** Our own: another plugin makes the interface, and gives the addresses. */
  chained: z.boolean().optional(),
  'cni.dev/valid-attachments': z.array(z.looseObject({ containerID: z.string(), ifname: z.string() })).nullish(),
});

export type NetworkConfiguration = z.infer<typeof Configuration>;

/** Capabilities that would change what a pod gets, and that this plugin does not have. */
const UNSUPPORTED = ['ipRanges', 'deviceID', 'infinibandGUID'] as const;

/** Throws CniError. What a pod is wished to have is not looked at: a pod must be able to go whatever it says. */
export function parseConfiguration(text: string): NetworkConfiguration {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CniError(CNI_CODES.decodeFailure, 'the network configuration is not JSON', (error as Error).message);
  }
  const parsed = Configuration.safeParse(json);
  if (parsed.success) return parsed.data;
  const version = parsed.error.issues.some(({ path }) => path[0] === 'cniVersion');
  const code = version ? CNI_CODES.incompatibleVersion : CNI_CODES.invalidConfig;
  const what = version ? `cniVersion is none of ${CNI_VERSIONS.join(', ')}` : 'the network configuration is invalid';
  throw new CniError(code, what, z.prettifyError(parsed.error));
}

/** Whether other plugins have a result already: on ADD, one before this one has made the interface. */
export function hasResult({ prevResult }: NetworkConfiguration): boolean {
  return prevResult != null;
}

/** Throws CniError. Runtime configuration counts before `args`, and that before CNI_ARGS. */
export function parseWishes(config: NetworkConfiguration, args: CniArguments): Wishes {
  const runtime = parseRuntimeConfig(config);
  const bandwidth = bandwidthOf(runtime.bandwidth ?? undefined);
  return {
    ...(hasResult(config) ? { addresses: [] } : parseIdentity(runtime, config, args)),
    hostPorts: (runtime.portMappings ?? []).map(hostPortOf),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    dns: { ...config.dns, ...dnsOf(runtime.dns ?? {}) },
  };
}

/** What only who makes the interface can give. */
function parseIdentity(
  runtime: z.infer<typeof RuntimeConfig>,
  config: NetworkConfiguration,
  args: CniArguments,
): Pick<Wishes, 'addresses' | 'mac'> {
  const cni = Args.safeParse(config.args ?? {}).data?.cni;
  const addresses = runtime.ips ?? cni?.ips ?? (args.IP === undefined ? [] : args.IP.split(','));
  const mac = runtime.mac ?? cni?.mac ?? args.MAC;
  return {
    addresses: oneOfEachFamily(addresses.map((text) => addressIn(text, 'a requested address'))),
    ...(mac === undefined || mac === '' ? {} : { mac: checkMac(mac) }),
  };
}

function parseRuntimeConfig(config: NetworkConfiguration): z.infer<typeof RuntimeConfig> {
  const parsed = RuntimeConfig.safeParse(withSmallInitials(config.runtimeConfig ?? {}));
  if (!parsed.success) throw invalid('runtimeConfig is invalid', z.prettifyError(parsed.error));
  // Ranges are for whoever chooses the addresses.
  const othersChoose = config.ipam?.type !== undefined || hasResult(config);
  const field = UNSUPPORTED.find((name) => parsed.data[name] != null && !(name === 'ipRanges' && othersChoose));
  if (field === undefined) return parsed.data;
  const what = `runtimeConfig.${field} is not supported`;
  throw new CniError(CNI_CODES.unsupportedField, what, `nothing was changed; take ${field} from capabilities`);
}

/**
 * Of every key, whatever is in it: containerd writes `HostPort` where the specification says `hostPort`, for readers in Go
 * take either.
 */
function withSmallInitials(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSmallInitials);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [
    `${key.charAt(0).toLowerCase()}${key.slice(1)}`,
    withSmallInitials(inner),
  ]);
  return Object.fromEntries(entries);
}

function invalid(what: string, why: string): CniError {
  return new CniError(CNI_CODES.invalidConfig, what, `${why}; nothing was changed`);
}

function hostPortOf(mapping: Omit<HostPort, 'hostIP'> & { hostIP: string }): HostPort {
  const { protocol, hostPort, containerPort, hostIP } = mapping;
  return { protocol, hostPort, containerPort, hostIP: hostIP === '' ? '' : addressIn(hostIP, 'a hostIP') };
}

type Rates = NonNullable<z.infer<typeof RuntimeConfig>['bandwidth']>;

function bandwidthOf(rates: Rates | undefined): Bandwidth | undefined {
  const ingress = limitOf('ingress', rates?.ingressRate ?? 0, rates?.ingressBurst ?? 0);
  const egress = limitOf('egress', rates?.egressRate ?? 0, rates?.egressBurst ?? 0);
  return ingress === undefined && egress === undefined ? undefined : { ingress, egress };
}

function limitOf(name: string, rate: number, burst: number): Limit | undefined {
  if (rate === 0) return undefined;
  if (burst === 0) throw invalid(`bandwidth: ${name}Rate is ${rate} but ${name}Burst is 0`, 'no packet could pass');
  return { rate, burst };
}

function dnsOf({ servers, searches, options }: NonNullable<z.infer<typeof RuntimeConfig>['dns']>) {
  return {
    ...(servers == null ? {} : { nameservers: servers }),
    ...(searches == null ? {} : { search: searches }),
    ...(options == null ? {} : { options }),
  };
}

function addressIn(text: string, what: string): IpAddress {
  try {
    return parseAddress(text.replace(/\/\d{1,3}$/, ''));
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw invalid(`${what} is none`, error.message);
  }
}

function oneOfEachFamily(addresses: readonly IpAddress[]): readonly IpAddress[] {
  const families = new Set(addresses.map(familyOf));
  if (families.size === addresses.length) return addresses;
  throw invalid(`requested addresses ${addresses.join(', ')}`, 'a pod has one address of a family');
}

/** Of one device: neither a group's nor nobody's. */
function checkMac(text: string): string {
  const mac = text.toLowerCase().replaceAll('-', ':');
  const unicast = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(mac) && mac !== '00:00:00:00:00:00';
  if (!unicast) throw invalid(`MAC address '${text}'`, 'it is not the address of one device');
  return mac;
}
