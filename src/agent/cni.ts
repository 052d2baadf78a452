// The CNI plugin's requests (specification 1.1.0): ADD, DEL, CHECK, STATUS, GC and VERSION.
import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { GATEWAYS } from '../datapath/config.js';
import { familyOf } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import { GATEWAY_MAC } from './wiring.js';

export const CNI_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** Error codes of the specification; from 100 on they are this plugin's own. */
export const CNI_CODES = {
  incompatibleVersion: 1,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodeFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  alreadyAdded: 101,
  exhausted: 102,
  notAsAdded: 103,
} as const;

/** What the plugin prints instead of a result. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** A request as the shim hands it on: the plugin's environment and standard input. */
export interface CniRequest {
  readonly command: string;
  readonly containerID: string;
  readonly netns: string;
  readonly interfaceName: string;
  readonly args: string;
  readonly config: string;
}

/** A request that was understood. */
export interface CniCall {
  readonly command: 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC' | 'VERSION';
  readonly cniVersion: string;
  readonly containerID: string;
  readonly netns: string;
  readonly interfaceName: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  /** GC: the attachments that still exist. */
  readonly attachments: readonly { readonly containerID: string; readonly ifname: string }[];
}

const Config = z.looseObject({
  cniVersion: z.enum(CNI_VERSIONS),
  name: z.string().min(1),
  'cni.dev/valid-attachments': z.array(z.looseObject({ containerID: z.string(), ifname: z.string() })).optional(),
});

const CALLS_WITH_CONTAINER = ['ADD', 'DEL', 'CHECK'];

/** Throws CniError for whatever cannot be understood; nothing was changed then. */
export function parseCniRequest(request: CniRequest): CniCall {
  const command = (['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'] as const).find(
    (name) => name === request.command,
  );
  if (command === undefined) {
    throw new CniError(CNI_CODES.invalidEnvironment, `CNI_COMMAND '${request.command}' is not a command`);
  }
  const config = parseConfig(request.config);
  const attachments = config['cni.dev/valid-attachments'];
  if (command === 'GC' && attachments === undefined) throw missingAttachments();
  if (CALLS_WITH_CONTAINER.includes(command)) checkContainer(command, request);
  const args = parseArgs(request.args);
  return {
    command,
    cniVersion: config.cniVersion,
    containerID: request.containerID,
    netns: request.netns,
    interfaceName: request.interfaceName,
    namespace: args.get('K8S_POD_NAMESPACE') ?? '',
    pod: args.get('K8S_POD_NAME') ?? request.containerID,
    podUID: args.get('K8S_POD_UID') ?? '',
    attachments: attachments ?? [],
  };
}

function parseConfig(text: string): z.infer<typeof Config> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CniError(CNI_CODES.decodeFailure, 'the network configuration is not JSON', (error as Error).message);
  }
  const parsed = Config.safeParse(json);
  if (parsed.success) return parsed.data;
  const version = parsed.error.issues.some(({ path }) => path[0] === 'cniVersion');
  const code = version ? CNI_CODES.incompatibleVersion : CNI_CODES.invalidConfig;
  const what = version ? `cniVersion is none of ${CNI_VERSIONS.join(', ')}` : 'the network configuration is invalid';
  throw new CniError(code, what, z.prettifyError(parsed.error));
}

/** Without the list, everything would count as stale. */
function missingAttachments(): CniError {
  const what = 'GC without cni.dev/valid-attachments: nobody knows which attachments still exist';
  return new CniError(CNI_CODES.invalidConfig, what, 'nothing was changed');
}

/** Names become parts of paths and of interface names, so only what the specification allows gets through. */
function checkContainer(command: string, { containerID, interfaceName, netns }: CniRequest): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(containerID)) {
    throw new CniError(CNI_CODES.invalidEnvironment, `CNI_CONTAINERID '${containerID}' is not a container id`);
  }
  if (!/^[^\s/:]{1,15}$/.test(interfaceName) || interfaceName === '.' || interfaceName === '..') {
    throw new CniError(CNI_CODES.invalidEnvironment, `CNI_IFNAME '${interfaceName}' is not an interface name`);
  }
  if (netns === '' && command !== 'DEL') {
    throw new CniError(CNI_CODES.invalidEnvironment, 'CNI_NETNS is empty: there is no namespace to wire');
  }
}

function parseArgs(text: string): Map<string, string> {
  return new Map(
    text.split(';').flatMap((pair): [string, string][] => {
      const at = pair.indexOf('=');
      return at > 0 ? [[pair.slice(0, at), pair.slice(at + 1)]] : [];
    }),
  );
}

/** Host side of the veth: the same name for the same attachment, also after a crash. */
export function hostInterfaceName(containerID: string, interfaceName: string): string {
  return `ist${createHash('sha256').update(`${containerID}/${interfaceName}`).digest('hex').slice(0, 10)}`;
}

/** A new unicast MAC that no vendor owns. */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The result of ADD. Versions before 1.0.0 also want the family of each address. */
export function formatResult(endpoint: Endpoint, cniVersion: string): unknown {
  const old = cniVersion.startsWith('0.');
  return {
    cniVersion,
    interfaces: [
      { name: endpoint.hostInterface, mac: GATEWAY_MAC },
      { name: endpoint.interfaceName, mac: endpoint.mac, sandbox: endpoint.netns },
    ],
    ips: endpoint.addresses.map((address) => {
      const ipv4 = familyOf(address) === 'ipv4';
      return {
        ...(old ? { version: ipv4 ? '4' : '6' } : {}),
        interface: 1,
        address: `${address}/${ipv4 ? 32 : 128}`,
        gateway: GATEWAYS[ipv4 ? 0 : 1],
      };
    }),
    routes: endpoint.addresses.map((address) => {
      const ipv4 = familyOf(address) === 'ipv4';
      return { dst: ipv4 ? '0.0.0.0/0' : '::/0', gw: GATEWAYS[ipv4 ? 0 : 1] };
    }),
    dns: {},
  };
}
