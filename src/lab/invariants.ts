// What must hold on every node while it carries traffic: no netfilter rule, no tracked connection, guarded NAT ports.
import type { Attachment } from '../api/protocol.js';
import { capture } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import type { AgentChoices, AttachChoice, SocketsChoice, XdpChoice } from '../testbed/node.js';
import { askAgent } from '../testbed/node-agent.js';
import { cgroupOf } from '../testbed/node-home.js';
import type { Directory } from './directory.js';
import type { LabNode } from './plan.js';
import { allNodes } from './plan.js';
import type { Row } from './row.js';

/** One row for each node and invariant. */
export async function checkInvariants(directory: Directory, { attach, sockets, xdp }: AgentChoices): Promise<Row[]> {
  const rows: Row[] = [];
  for (const node of allNodes(directory.plan)) {
    rows.push(await checkNftables(node), await checkLegacy(node), await checkConntrack(node));
    rows.push(await checkBindGuard(node, directory), await checkAttachments(node, attach));
    rows.push(await checkSockets(node, sockets));
    rows.push(await checkXdp(node, xdp));
  }
  return rows;
}

async function checkNftables(node: LabNode): Promise<Row> {
  const { status, stdout, stderr } = await capture(['nft', 'list', 'ruleset'], { netns: node.netns }).catch(missing);
  const ok = status === 0 && stdout.trim() === '';
  return row(node, {
    name: 'no nftables rule',
    expected: 'empty',
    ok,
    detail: ok ? '' : stderr || stdout.slice(0, 200),
  });
}

/** Legacy tables are listed by the kernel: where the list is empty there is no table, and the tool is not needed. */
async function checkLegacy(node: LabNode): Promise<Row> {
  const files = ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'];
  // Read inside the namespace; a file is absent where the kernel has no legacy tables at all.
  const script = 'for file in "$@"; do [ ! -e "$file" ] || cat "$file" || exit 1; done';
  const { status, stdout, stderr } = await capture(['/bin/sh', '-c', script, 'sh', ...files], { netns: node.netns });
  const ok = status === 0 && stdout.trim() === '';
  const detail = ok ? '' : stderr || `tables: ${stdout.trim().replaceAll('\n', ', ')}`;
  return row(node, { name: 'no iptables table', expected: 'empty', ok, detail });
}

async function checkConntrack(node: LabNode): Promise<Row> {
  const file = '/proc/sys/net/netfilter/nf_conntrack_count';
  const script = `[ -e ${file} ] && cat ${file} || echo 0`;
  const { stdout, stderr } = await capture(['/bin/sh', '-c', script], { netns: node.netns });
  const ok = stdout.trim() === '0';
  return row(node, { name: 'no tracked connection', expected: '0', saw: stdout.trim(), ok, detail: stderr });
}

/** A program of the node asks for a port of a pod's block and must not get it. */
async function checkBindGuard(node: LabNode, directory: Directory): Promise<Row> {
  const [block] = directory.blocks.get(`${node.cluster}/${node.name.endsWith('n1') ? 'a' : 'c'}`) ?? [];
  const port = String(block?.first ?? 0);
  const argv = [PROBE, 'serve', '--port', port, '--address', node.addresses.ipv4];
  // A server that gets the port runs until the deadline ends it.
  const result = await capture(argv, { netns: node.netns, cgroup: cgroupOf(node), timeout: 1000 });
  const refused = block !== undefined && result.status === 2 && /not permitted|in use/.test(result.stderr);
  const detail = refused ? '' : `port ${port}: status ${result.status} ${result.stderr.trim()}`;
  return row(node, { name: 'the host cannot take a NAT port', expected: 'refused', ok: refused, detail });
}

/** That the kind which was asked for is the kind that runs: a silent fallback would make the whole check another one. */
async function checkAttachments(node: LabNode, attach: AttachChoice): Promise<Row> {
  const attachments = (await askAgent(node))?.state.attachments ?? [];
  const kinds = new Set(attachments.filter(({ kind }) => kind !== 'cgroup' && kind !== 'xdp').map(({ kind }) => kind));
  const saw = [...kinds].join(',') || 'none';
  const expected = attach === 'auto' ? 'tcx or clsact' : attach;
  // What was added just now has filters until nobody asks for anything.
  const ok = attach === 'auto' ? kinds.size > 0 : saw === attach;
  return row(node, { name: 'programs attached', expected, saw, ok, detail: describeAttachments(attachments) });
}

/** As above: without the programs for sockets, pods would reach services all the same. */
async function checkSockets(node: LabNode, choice: SocketsChoice): Promise<Row> {
  const { mode, reason = '' } = (await askAgent(node))?.state.sockets ?? {};
  const expected = choice === 'auto' ? 'sockets' : 'packets';
  const saw = mode ?? 'none';
  return row(node, { name: 'where services begin', expected, saw, ok: saw === expected, detail: reason });
}

/** As above: without it, tc does the same. The nodes' uplinks are veths, so `auto` is tc. */
async function checkXdp(node: LabNode, choice: XdpChoice): Promise<Row> {
  const { mode, reason = '' } = (await askAgent(node))?.state.xdp ?? {};
  const expected = choice === 'auto' || choice === 'never' ? 'tc' : choice;
  const saw = mode ?? 'none';
  const ok = saw === expected;
  return row(node, { name: 'where packets back to the wire are handled', expected, saw, ok, detail: ok ? '' : reason });
}

function describeAttachments(attachments: readonly Attachment[]): string {
  return attachments.map(({ program, target }) => `${program}@${target.replace(/^.*\//, '')}`).join(' ');
}

function missing(error: Error): { status: number; stdout: string; stderr: string } {
  return { status: 127, stdout: '', stderr: error.message };
}

function row(node: LabNode, of: { name: string; expected: string; ok: boolean; detail: string; saw?: string }): Row {
  const where = { family: '-', protocol: '-', from: node.name, to: '-', ms: 0 } as const;
  return { ...where, saw: '-', ...of };
}
