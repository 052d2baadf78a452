// Entry of the daemon: settings, logger, what must exist before anything starts, and signals.
import { readFileSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { compileDatapath } from '../bpf/compile.js';
import { loadNative, type Native } from '../bpf/native.js';
import { Datapath } from '../datapath/datapath.js';
import { loadNativeNet, type NativeNet, type Netlink } from '../net/native.js';
import { findUplink } from '../net/uplink.js';
import { DirectorySource } from '../source/directory.js';
import { Agent } from './agent.js';
import { type Detour, openDetour } from './detour.js';
import { prepareNode } from './node-setup.js';
import { type AgentFlags, resolveSettings, type Settings } from './settings.js';

export type { AgentFlags } from './settings.js';

const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

/** Runs until SIGTERM or SIGINT. Rejects when the agent cannot start; nothing is attached then. */
export async function runAgent(flags: AgentFlags): Promise<void> {
  const { settings, origins } = resolveSettings(flags, process.env);
  const log = createLogger(settings);
  requireRoot();
  const datapath = await openDatapath(settings, log);
  const net = loadNativeNet();
  const node = net.openNetlink();
  const uplink = findUplink(node, settings.device === '' ? undefined : settings.device);
  prepareNode(node, uplink);
  const detour = prepareDetour({ native: loadNative(), net, node, settings, log });
  const agent = new Agent({
    settings,
    origins,
    version: readVersion(),
    log,
    net,
    node,
    uplink,
    datapath,
    detour,
    source: new DirectorySource({ directory: settings.source }),
  });
  await agent.start();
  await stopSignal();
  log.info('stopping; forwarding goes on');
  await agent.close();
  node.close();
}

async function openDatapath(settings: Settings, log: Logger): Promise<Datapath> {
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
    flowEntries: settings.flowEntries,
    onNote: (note, message) => log.info(note, message),
    onDrop: (drop) => log.debug({ ...drop }, 'packet dropped'),
  });
}

interface PrepareDetourOptions {
  readonly native: Native;
  readonly net: NativeNet;
  readonly node: Netlink;
  readonly settings: Settings;
  readonly log: Logger;
}

/** Nothing else depends on it: without it, fragments out of order are dropped, and the log and the status say so. */
function prepareDetour({ native, net, node, settings, log }: PrepareDetourOptions): Detour {
  const { node: nodeName, bpffs, fragments: wanted } = settings;
  const detour = openDetour({ native, net, node, nodeName, bpffs, wanted });
  const { mode, defrag, reason } = detour.state;
  if (reason === undefined) log.info({ mode, defrag }, 'fragments');
  else log.warn({ mode, reason }, 'fragments out of order are dropped: there is no detour');
  return detour;
}

/** One line of JSON an event to standard error, written at once: what a crash was about must not be lost. */
function createLogger(settings: Settings): Logger {
  return pino({ level: settings.logLevel, base: { node: settings.node } }, pino.destination({ dest: 2, sync: true }));
}

function requireRoot(): void {
  if (process.geteuid?.() === 0) return;
  throw new Error('the agent needs root (CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN); nothing was changed; run it as root');
}

function readVersion(): string {
  return (JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string }).version;
}

function stopSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  process.once('SIGTERM', () => resolve()).once('SIGINT', () => resolve());
  return promise;
}
