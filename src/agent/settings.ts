// What the agent was told, by flag, environment or default, with where each value came from.
import { hostname } from 'node:os';
import { join } from 'node:path';
import { JOURNAL_NAME } from '../api/journal-segments.js';
import { DEFAULT_BPFFS, DEFAULT_STATE_DIR, SOCKET_NAME } from '../api/protocol.js';
import { type ListenAddress, parseListenAddress } from './listen-address.js';

/** Flags as the command line gives them; what is absent was not given. */
export interface AgentFlags {
  readonly node?: string;
  readonly source?: string;
  readonly kubeconfig?: string;
  readonly stateDir?: string;
  readonly bpffs?: string;
  readonly device?: string;
  readonly cgroup?: string;
  readonly cniConfDir?: string;
  readonly compile?: string;
  readonly attach?: string;
  readonly flowEntries?: string;
  readonly fragments?: string;
  readonly sockets?: string;
  readonly xdp?: string;
  readonly bigTcp?: string;
  readonly gro?: string;
  readonly journalDir?: string;
  readonly journalMaxBytes?: string;
  readonly journalMaxAgeDays?: string;
  readonly healthzBindAddress?: string;
  readonly metricsBindAddress?: string;
  readonly healthTimeoutSeconds?: string;
  readonly logLevel?: string;
}

export interface Settings {
  readonly node: string;
  /** A directory of manifests, or `kubernetes`: the API server. */
  readonly source: string;
  /** Empty: the service account of the pod that the agent runs in. */
  readonly kubeconfig: string;
  readonly stateDir: string;
  readonly bpffs: string;
  /** Empty: the device of the default route. */
  readonly device: string;
  /** Empty: no guard of the NAT ports against explicit binds, and no services at the socket. */
  readonly cgroup: string;
  /** Where container runtimes look for a network; empty: that is somebody else's business. */
  readonly cniConfDir: string;
  readonly compile: 'auto' | 'always' | 'never';
  readonly attach: 'auto' | 'tcx' | 'clsact';
  /** Entries of the flow table; two a flow. */
  readonly flowEntries: number;
  /** Whether fragments out of order are put in order where the kernel can, or only those in order pass. */
  readonly fragments: 'auto' | 'cache';
  /** Whether processes in the cgroup reach services at the socket where the kernel can, or by packets only. */
  readonly sockets: 'auto' | 'never';
  /** Whether packets that go back to the wire are handled before the stack: `auto` where that harms nothing else. */
  readonly xdp: 'auto' | 'native' | 'generic' | 'never';
  /** Whether pods send packets beyond 64 KiB where the uplink takes them. */
  readonly bigTcp: 'auto' | 'never';
  /** Whether the node joins what pods send without TSO. */
  readonly gro: 'auto' | 'never';
  /** Who had which ports when. */
  readonly journalDir: string;
  /** The oldest part of the journal is removed when it grows larger, or older. */
  readonly journalMaxBytes: number;
  readonly journalMaxAgeDays: number;
  /** Of `/healthz` and `/livez`; undefined: nobody listens there. */
  readonly healthzBindAddress: ListenAddress | undefined;
  /** Of `/metrics` and `/proxyMode`. */
  readonly metricsBindAddress: ListenAddress | undefined;
  /** How long a change of Services may wait before the node counts as unhealthy. */
  readonly healthTimeoutSeconds: number;
  readonly logLevel: string;
}

export interface Origin {
  readonly name: string;
  readonly value: string;
  readonly origin: string;
}

/** A setting that cannot be used. */
export class SettingsError extends Error {
  readonly code = 'ERR_SETTINGS';
}

const DEFAULTS: Readonly<Record<keyof AgentFlags, string>> = {
  node: hostname(),
  source: '/etc/isthmus/manifests',
  kubeconfig: '',
  stateDir: DEFAULT_STATE_DIR,
  bpffs: DEFAULT_BPFFS,
  device: '',
  cgroup: '',
  cniConfDir: '',
  compile: 'auto',
  attach: 'auto',
  flowEntries: '1048576',
  fragments: 'auto',
  sockets: 'auto',
  xdp: 'auto',
  bigTcp: 'auto',
  gro: 'auto',
  // Below the state directory, wherever that is.
  journalDir: '',
  journalMaxBytes: '67108864',
  journalMaxAgeDays: '90',
  // As kube-proxy's.
  healthzBindAddress: '0.0.0.0:10256',
  metricsBindAddress: '127.0.0.1:10249',
  healthTimeoutSeconds: '60',
  logLevel: 'info',
};

/** What a manifest of Kubernetes calls the environment variable of a setting by convention (downward API). */
const CONVENTIONAL: Readonly<Partial<Record<keyof AgentFlags, string>>> = { node: 'NODE_NAME' };

const NEVER_EMPTY = ['node', 'source', 'stateDir', 'bpffs'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
const FLOW_ENTRIES_MAX = 1 << 26;
/** Bytes of sun_path without its terminating zero. */
const SOCKET_PATH_MAX = 107;

/** The word that is no directory. */
export const KUBERNETES_SOURCE = 'kubernetes';

/** Flag before environment before default. The environment's names are `ISTHMUS_STATE_DIR` and alike. */
export function resolveSettings(
  flags: AgentFlags,
  environment: Readonly<Record<string, string | undefined>>,
): { settings: Settings; origins: Origin[] } {
  const given = (Object.keys(DEFAULTS) as (keyof AgentFlags)[]).map((name) => resolve(name, flags, environment));
  const stateDir = given.find(({ name }) => name === 'stateDir')?.value ?? DEFAULT_STATE_DIR;
  const origins = given.map((each) => withJournalDir(each, stateDir));
  const values = Object.fromEntries(origins.map(({ name, value }) => [name, value])) as Record<
    keyof AgentFlags,
    string
  >;
  return { settings: check(values), origins };
}

function withJournalDir(setting: Origin, stateDir: string): Origin {
  if (setting.name !== 'journalDir' || setting.value !== '') return setting;
  return { ...setting, value: join(stateDir, JOURNAL_NAME) };
}

function resolve(
  name: keyof AgentFlags,
  flags: AgentFlags,
  environment: Readonly<Record<string, string | undefined>>,
): Origin {
  const own = `ISTHMUS_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  const flag = flags[name];
  if (flag !== undefined) return { name, value: flag, origin: 'flag' };
  for (const variable of [own, CONVENTIONAL[name] ?? own]) {
    const value = environment[variable];
    if (value !== undefined) return { name, value, origin: `environment ${variable}` };
  }
  return { name, value: DEFAULTS[name], origin: 'default' };
}

function check(values: Record<keyof AgentFlags, string>): Settings {
  const empty = NEVER_EMPTY.find((name) => values[name].trim() === '');
  if (empty !== undefined) throw new SettingsError(`${flagOf(empty)} is empty; leave it out to get its default`);
  return {
    ...values,
    stateDir: checkStateDir(values.stateDir),
    compile: oneOf('compile', values.compile, ['auto', 'always', 'never'] as const),
    attach: oneOf('attach', values.attach, ['auto', 'tcx', 'clsact'] as const),
    fragments: oneOf('fragments', values.fragments, ['auto', 'cache'] as const),
    sockets: oneOf('sockets', values.sockets, ['auto', 'never'] as const),
    xdp: oneOf('xdp', values.xdp, ['auto', 'native', 'generic', 'never'] as const),
    bigTcp: oneOf('bigTcp', values.bigTcp, ['auto', 'never'] as const),
    gro: oneOf('gro', values.gro, ['auto', 'never'] as const),
    flowEntries: integer('flowEntries', values.flowEntries, { least: 2, most: FLOW_ENTRIES_MAX }),
    journalMaxBytes: integer('journalMaxBytes', values.journalMaxBytes, { least: 1 << 20, most: 2 ** 40 }),
    journalMaxAgeDays: integer('journalMaxAgeDays', values.journalMaxAgeDays, { least: 1, most: 36_500 }),
    healthzBindAddress: listenAddress('healthzBindAddress', values.healthzBindAddress),
    metricsBindAddress: listenAddress('metricsBindAddress', values.metricsBindAddress),
    healthTimeoutSeconds: integer('healthTimeoutSeconds', values.healthTimeoutSeconds, { least: 1, most: 86_400 }),
    logLevel: oneOf('logLevel', values.logLevel, LOG_LEVELS),
  };
}

interface Range {
  readonly least: number;
  readonly most: number;
}

function integer(name: keyof AgentFlags, text: string, { least, most }: Range): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new SettingsError(`${flagOf(name)} '${text}' is not a number from ${least} to ${most}`);
}

function listenAddress(name: keyof AgentFlags, text: string): ListenAddress | undefined {
  try {
    return parseListenAddress(text);
  } catch (error) {
    throw new SettingsError(`${flagOf(name)} '${text}' ${(error as Error).message}`);
  }
}

/** The socket's path has to fit into a sockaddr_un, or nobody could connect. */
function checkStateDir(path: string): string {
  const room = SOCKET_PATH_MAX - SOCKET_NAME.length - 1;
  if (Buffer.byteLength(join(path, SOCKET_NAME)) <= SOCKET_PATH_MAX) return path;
  throw new SettingsError(`state-dir '${path}' is longer than ${room} bytes, so the socket's path would not fit`);
}

function flagOf(name: keyof AgentFlags): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function oneOf<T extends string>(name: keyof AgentFlags, value: string, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw new SettingsError(`${flagOf(name)} '${value}' is none of ${allowed.join(', ')}`);
  return found;
}
