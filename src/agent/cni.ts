// The CNI plugin's requests (specification 1.1.0): ADD, DEL, CHECK, STATUS and GC. The shim answers VERSION itself.
import { z } from 'zod';
import type { IpAddress } from '../model/address.js';
import { addressesIn, CniResult } from './cni-addresses.js';
import { type CniArguments, parseArguments } from './cni-arguments.js';
import {
  hasResult,
  type NetworkConfiguration,
  parseConfiguration,
  parseWishes,
  type Wishes,
} from './cni-configuration.js';
import { CNI_CODES, CNI_VERSIONS, CniError, type CniVersion, isOlder } from './cni-error.js';

export { CNI_CODES, CNI_VERSIONS, CniError } from './cni-error.js';

/** A request as the shim hands it on: the plugin's environment and standard input. */
export interface CniRequest {
  readonly command: string;
  readonly containerID: string;
  readonly netns: string;
  readonly interfaceName: string;
  readonly args: string;
  readonly config: string;
  /** What the delegated IPAM plugin did, once it was run. */
  readonly ipam?: IpamOutcome;
}

/** The end of a plugin that the shim ran: exit status, and its standard output. */
export interface IpamOutcome {
  readonly status: number;
  readonly output: string;
}

/** A request that was understood. */
export interface CniCall {
  readonly command: 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC';
  readonly cniVersion: CniVersion;
  /** Name of the network configuration. */
  readonly network: string;
  readonly containerID: string;
  readonly netns: string;
  readonly interfaceName: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  /** ADD: otherwise there are none. */
  readonly wishes: Wishes;
  /** ADD: bandwidth is declared with this plugin, so that none behind it puts a queue on the node's end of the veth. */
  readonly limitsBandwidth?: true;
  /** The plugin that chooses the addresses; absent: the agent. */
  readonly ipamType?: string;
  readonly ipam?: IpamOutcome;
  /** CHECK: the addresses that the runtime knows of the interface; undefined: it told none. */
  readonly known?: readonly IpAddress[];
  /** ADD: what the plugins before this one made, the interface among it; absent: this one is to make it. */
  readonly previous?: CniResult;
  /** STATUS: whether another plugin gives the addresses. */
  readonly chained: boolean;
  /** GC: the attachments that still exist; undefined: nobody says. */
  readonly attachments?: readonly { readonly containerID: string; readonly ifname: string }[];
}

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'] as const;
const CALLS_WITH_CONTAINER = ['ADD', 'DEL', 'CHECK'];
/** The first version that has the command. */
const SINCE: Readonly<Partial<Record<string, CniVersion>>> = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' };
const NO_WISHES: Wishes = { addresses: [], hostPorts: [], dns: {} };

/** Throws CniError for whatever cannot be understood; nothing was changed then. */
export function parseCniRequest(request: CniRequest): CniCall {
  const command = COMMANDS.find((name) => name === request.command);
  if (command === undefined) {
    throw new CniError(CNI_CODES.invalidEnvironment, `CNI_COMMAND '${request.command}' is not a command`);
  }
  const config = parseConfiguration(request.config);
  if (CALLS_WITH_CONTAINER.includes(command)) checkContainer(command, request);
  checkCommand(command, config);
  const args = parseArguments(request.args, command === 'ADD');
  const { containerID, netns, interfaceName } = request;
  return {
    command,
    cniVersion: config.cniVersion,
    network: config.name,
    containerID,
    netns,
    interfaceName,
    namespace: args.K8S_POD_NAMESPACE ?? '',
    pod: args.K8S_POD_NAME ?? containerID,
    podUID: args.K8S_POD_UID ?? '',
    wishes: command === 'ADD' ? wishesOf(config, args) : NO_WISHES,
    ...(command === 'ADD' && config.capabilities?.bandwidth === true ? { limitsBandwidth: true } : {}),
    chained: config.chained ?? false,
    ...ipamOf(config, request),
    ...previousOf(command, config),
    ...(command === 'GC' ? attachmentsOf(config) : {}),
  };
}

function checkCommand(command: CniCall['command'], config: NetworkConfiguration): void {
  const since = SINCE[command];
  if (since !== undefined && isOlder(config.cniVersion, since)) {
    const what = `cniVersion ${config.cniVersion} has no ${command}, which came with ${since}`;
    throw new CniError(CNI_CODES.incompatibleVersion, what, `versions here: ${CNI_VERSIONS.join(', ')}`);
  }
  if (!isRemoval(command)) checkIpam(config);
  if (command === 'ADD') checkPlace(config);
  if (command === 'CHECK' && !hasResult(config)) throw missingResult();
}

/** Of what an ADD has made, or has failed to make. */
function isRemoval(command: CniCall['command']): boolean {
  return command === 'DEL' || command === 'GC';
}

/** A lease is asked for, and renewed, on a link that pods share with a server; each of ours has one with its node. */
function checkIpam({ ipam }: NetworkConfiguration): void {
  if (ipam?.type !== 'dhcp') return;
  const what = 'ipam.type dhcp: no DHCP server can be on a link that has one pod and its node';
  throw invalid(what, 'leave ipam out, or take host-local or static');
}

/** First in the list, or behind the plugin that makes the interface. */
function checkPlace(config: NetworkConfiguration): void {
  const { chained = false, ipam } = config;
  if (chained && !hasResult(config)) {
    const what = 'chained is true, but the configuration has no prevResult: no plugin made the interface before';
    throw invalid(what, 'put isthmus-cni behind that plugin, or leave chained out');
  }
  if (!hasResult(config) || ipam?.type === undefined) return;
  const what = `ipam.type ${ipam.type} behind another plugin: the interface has its addresses already`;
  throw invalid(what, 'give ipam to the plugin that makes the interface');
}

function invalid(what: string, next: string): CniError {
  return new CniError(CNI_CODES.invalidConfig, what, `nothing was changed; ${next}`);
}

function wishesOf(config: NetworkConfiguration, args: CniArguments): Wishes {
  const wishes = parseWishes(config, args);
  if (config.ipam?.type === undefined || wishes.addresses.length === 0) return wishes;
  return { ...wishes, addresses: [] }; // the IPAM plugin sees the same configuration and environment
}

/** A plugin that could not give anything has nothing to take back. */
function ipamOf({ ipam }: NetworkConfiguration, request: CniRequest): Pick<CniCall, 'ipamType' | 'ipam'> {
  return {
    ...(ipam?.type === undefined || ipam.type === 'dhcp' ? {} : { ipamType: ipam.type }),
    ...(request.ipam === undefined ? {} : { ipam: request.ipam }),
  };
}

/** Of CHECK all addresses: those of other plugins' interfaces are sorted out by who compares. */
function previousOf(command: CniCall['command'], config: NetworkConfiguration): Pick<CniCall, 'known' | 'previous'> {
  if (!hasResult(config) || (command !== 'ADD' && command !== 'CHECK')) return {};
  const parsed = CniResult.safeParse(config.prevResult);
  if (!parsed.success) throw invalid('prevResult is no result of a plugin', z.prettifyError(parsed.error));
  return command === 'ADD' ? { previous: parsed.data } : { known: addressesIn(parsed.data) };
}

/** A list without entries is null when a client is written in Go. */
function attachmentsOf(config: NetworkConfiguration): Pick<CniCall, 'attachments'> {
  const attachments = config['cni.dev/valid-attachments'];
  return attachments === undefined ? {} : { attachments: attachments ?? [] };
}

function missingResult(): CniError {
  const what = 'CHECK without prevResult: there is nothing to compare the pod with';
  return new CniError(CNI_CODES.invalidConfig, what, 'the runtime has to pass the result of ADD');
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
