// The peer to beat: netfilter's masquerade on a node that routes, set up by whichever iptables is here.
import { capture, run } from '../testbed/command.js';
import type { KernelNode } from './plan.js';
import { DEVICE } from './topology.js';

/** What netfilter was set up with, or why it was not. */
export type Masquerade = { readonly tool: string } | { readonly missing: string };

/** The faster of the two first: legacy rules are what they would be compared with. */
const TOOLS = ['iptables-legacy', 'iptables-nft', 'iptables'];

/** Translates what leaves the node by its wire. A kernel or machine without the means is a missing peer, not an error. */
export async function setUpMasquerade(node: KernelNode): Promise<Masquerade> {
  const refusals: string[] = [];
  for (const tool of TOOLS) {
    const refusal = await tryTool(tool, node);
    if (refusal === undefined) return { tool: await versionOf(tool) };
    refusals.push(`${tool}: ${refusal}`);
  }
  return { missing: refusals.join('; ') };
}

async function tryTool(tool: string, { netns }: KernelNode): Promise<string | undefined> {
  const rule = ['-t', 'nat', '-A', 'POSTROUTING', '-o', DEVICE, '-j', 'MASQUERADE'];
  const result = await capture([tool, '-w', ...rule], { netns }).catch((error: Error) => error);
  if (result instanceof Error) return result.message;
  if (result.status === 0) return undefined;
  return result.stderr.trim().split('\n')[0] || `status ${result.status}`;
}

async function versionOf(tool: string): Promise<string> {
  const version = (await run([tool, '--version'])).trim();
  return version.replace(/^iptables/, tool);
}
