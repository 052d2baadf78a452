// Entry of the daemon: settings, logger, what must exist before anything starts, and signals.
import { existsSync, readFileSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { compileDatapath } from '../bpf/compile.js';
import { loadNative } from '../bpf/native.js';
import { Datapath } from '../datapath/datapath.js';
import { loadNativeNet, type Netlink } from '../net/native.js';
import { findUplink } from '../net/uplink.js';
import { Agent } from './agent.js';
import { writeCniConfig } from './cni-config.js';
import { openDetour } from './detour.js';
import { limitHeap } from './heap.js';
import { openReadiness } from './node-readiness.js';
import { type AgentFlags, resolveSettings, type Settings, SettingsError } from './settings.js';
import { openSource } from './source.js';

export type { AgentFlags } from './settings.js';

const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

/** Runs until SIGTERM or SIGINT. Rejects when the agent cannot start; nothing is attached then. */
export async function runAgent(flags: AgentFlags): Promise<void> {
  const { settings, origins } = resolveSettings(flags, process.env);
  const log = createLogger(settings);
  limitHeap();
  requireRoot();
  requireCgroup(settings);
  const source = await openSource(settings, log, readVersion());
  const readiness = await openReadiness(settings, log);
  const net = loadNativeNet();
  const node = net.openNetlink();
  const uplink = findUplink(node, settings.device === '' ? undefined : settings.device);
  const datapath = await openDatapath(settings, log, node);
  const { node: nodeName, bpffs, fragments: wanted } = settings;
  const agent = new Agent({
    settings,
    origins,
    version: readVersion(),
    log,
    net,
    node,
    uplink,
    datapath,
    openDetour: () => openDetour({ native: loadNative(), net, node, nodeName, bpffs, wanted }),
    source,
    onReady: () => {
      if (settings.cniConfDir !== '') writeCniConfig(settings.cniConfDir);
      readiness?.announce();
    },
  });
  const stopped = stopSignal();
  try {
    // An agent that still waits for its source ends like any other.
    await Promise.race([agent.start().then(() => new Promise(() => undefined)), stopped]);
    log.info('stopping; forwarding goes on');
  } finally {
    readiness?.close();
    await agent.close();
    node.close();
  }
}

async function openDatapath(settings: Settings, log: Logger, node: Netlink): Promise<Datapath> {
  const native = loadNative();
  const compiled = await compileDatapath({
    sourceDir: `${ROOT}/bpf`,
    outputDir: `${ROOT}/build/bpf`,
    mode: settings.compile,
  });
  log.info({ ...compiled }, compiled.compiled ? 'datapath compiled' : 'datapath object is current');
  return new Datapath({
    native,
    objectPath: compiled.objectPath,
    sourceHash: compiled.sourceHash,
    bpffs: settings.bpffs,
    attach: settings.attach,
    sockets: settings.sockets === 'auto' && settings.cgroup !== '',
    xdp: settings.xdp !== 'never',
    flowEntries: settings.flowEntries,
    hasDevice: (name) => node.link(name) !== undefined,
    onNote: (note, message) => log.info(note, message),
    onDrop: (drop) => log.debug({ ...drop }, 'packet dropped'),
  });
}

/** One line of JSON an event to standard error, written at once: what a crash was about must not be lost. */
function createLogger(settings: Settings): Logger {
  return pino({ level: settings.logLevel, base: { node: settings.node } }, pino.destination({ dest: 2, sync: true }));
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  const what = 'the agent needs root (CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN); nothing was changed; run it as root';
  throw Object.assign(new Error(what), { code: 'EPERM' });
}

function requireCgroup({ cgroup }: Settings): void {
  if (cgroup === '' || existsSync(`${cgroup}/cgroup.procs`)) return;
  throw new SettingsError(
    `cgroup '${cgroup}' is no cgroup; nothing was changed; name a directory of the cgroup2 mount`,
  );
}

function readVersion(): string {
  return (JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string }).version;
}

function stopSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGTERM', () => resolve()).once('SIGINT', () => resolve());
  return promise;
}
