// A node of the cluster.
import type { Cidr, IpAddress } from './address.js';

/** Key of the taint that a new node may have until its agent has put everything in force. */
export const STARTUP_TAINT = 'isthmus.dev/agent-not-ready';

export interface Node {
  readonly name: string;
  /** InternalIP addresses; the first of a family is the next hop of its pods and the translation address. */
  readonly addresses: readonly IpAddress[];
  readonly podCIDRs: readonly Cidr[];
  /** What selectors ask for; none when absent. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The label topology.kubernetes.io/zone. */
  readonly zone?: string;
  /** It is being deleted, or soon will be: load balancers should send nothing new. */
  readonly leaving?: true;
  /** RFC 3339: since when there is the object; absent where nobody says it. */
  readonly created?: string;
  /** It has the startup taint: no pod comes before an agent says that it is ready. */
  readonly awaitsAgent?: true;
}

/** Which nodes something is for. */
export interface NodeSelection {
  /** Labels that a node must all have; none: every node. */
  readonly nodeLabels: Readonly<Record<string, string>>;
}

export function selects({ nodeLabels }: NodeSelection, { labels = {} }: Node): boolean {
  return Object.entries(nodeLabels).every(([name, value]) => labels[name] === value);
}
