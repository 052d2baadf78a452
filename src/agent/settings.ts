// What the agent was told, by flag, environment or default, with where each value came from.
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_BPFFS, DEFAULT_STATE_DIR, SOCKET_NAME } from '../api/protocol.js';

/** Flags as the command line gives them; what is absent was not given. */
export interface AgentFlags {
  readonly node?: string;
  readonly source?: string;
  readonly stateDir?: string;
  readonly bpffs?: string;
  readonly device?: string;
  readonly cgroup?: string;
  readonly compile?: string;
  readonly attach?: string;
  readonly flowEntries?: string;
  readonly logLevel?: string;
}

export interface Settings {
  readonly node: string;
  readonly source: string;
  readonly stateDir: string;
  readonly bpffs: string;
  /** Empty: the device of the default route. */
  readonly device: string;
  /** Empty: no guard of the NAT ports against explicit binds. */
  readonly cgroup: string;
  readonly compile: 'auto' | 'always' | 'never';
  readonly attach: 'auto' | 'tcx' | 'clsact';
  /** Entries of the flow table; two a flow. */
  readonly flowEntries: number;
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
  stateDir: DEFAULT_STATE_DIR,
  bpffs: DEFAULT_BPFFS,
  device: '',
  cgroup: '',
  compile: 'auto',
  attach: 'auto',
  flowEntries: '1048576',
  logLevel: 'info',
};

const NEVER_EMPTY = ['node', 'source', 'stateDir', 'bpffs'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
const FLOW_ENTRIES_MAX = 1 << 26;
/** Bytes of sun_path without its terminating zero. */
const SOCKET_PATH_MAX = 107;

/** Flag before environment before default. The environment's names are `ISTHMUS_STATE_DIR` and alike. */
export function resolveSettings(
  flags: AgentFlags,
  environment: Readonly<Record<string, string | undefined>>,
): { settings: Settings; origins: Origin[] } {
  const origins = (Object.keys(DEFAULTS) as (keyof AgentFlags)[]).map((name) => resolve(name, flags, environment));
  const values = Object.fromEntries(origins.map(({ name, value }) => [name, value])) as Record<
    keyof AgentFlags,
    string
  >;
  return { settings: check(values), origins };
}

function resolve(
  name: keyof AgentFlags,
  flags: AgentFlags,
  environment: Readonly<Record<string, string | undefined>>,
): Origin {
  const variable = `ISTHMUS_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  const flag = flags[name];
  if (flag !== undefined) return { name, value: flag, origin: 'flag' };
  const value = environment[variable];
  if (value !== undefined) return { name, value, origin: `environment ${variable}` };
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
    flowEntries: checkFlowEntries(values.flowEntries),
    logLevel: oneOf('logLevel', values.logLevel, LOG_LEVELS),
  };
}

function checkFlowEntries(text: string): number {
  const entries = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (entries >= 2 && entries <= FLOW_ENTRIES_MAX) return entries;
  throw new SettingsError(`flow-entries '${text}' is not a number from 2 to ${FLOW_ENTRIES_MAX}`);
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
