// The peer to beat: netfilter's masquerade on a node that routes, set up by whichever iptables is here.
import { capture, run } from '../testbed/command.js';
import { UPLINK } from '../testbed/node.js';
import type { BenchPlan, KernelNode } from './plan.js';

/** What netfilter was set up with, or why it was not. */
export type Masquerade = { readonly tool: string } | { readonly missing: string };

/** The faster of the two first: legacy rules are what they would be compared with. */
const TOOLS = ['iptables-legacy', 'iptables-nft', 'iptables'];

/** Translates what leaves the node by its wire. A machine without the means has a peer less, which is no error. */
export async function setUpMasquerade(plan: BenchPlan): Promise<Masquerade> {
  const nodes = plan.kernelNodes.filter(({ masquerade }) => masquerade);
  if (nodes.length === 0) return { missing: 'no node is planned for it' };
  const refusals: string[] = [];
  for (const tool of TOOLS) {
    const refusal = await tryTool(tool, nodes);
    if (refusal === undefined) return { tool: await versionOf(tool) };
    refusals.push(`${tool}: ${refusal}`);
  }
  return { missing: refusals.join('; ') };
}

/** A tool that cannot do it says so at the first node. */
async function tryTool(tool: string, nodes: readonly KernelNode[]): Promise<string | undefined> {
  const rule = ['-t', 'nat', '-A', 'POSTROUTING', '-o', UPLINK, '-j', 'MASQUERADE'];
  for (const { netns } of nodes) {
    const result = await capture([tool, '-w', ...rule], { netns }).catch((error: Error) => error);
    if (result instanceof Error) return result.message;
    if (result.status !== 0) return result.stderr.trim().split('\n')[0] || `status ${result.status}`;
  }
  return undefined;
}

async function versionOf(tool: string): Promise<string> {
  const version = (await run([tool, '--version'])).trim();
  return version.replace(/^iptables/, tool);
}
