// The twin of a node with an agent: the same world and the same pod, translated by the kernel's own netfilter masquerade.
import { run } from '../../src/testbed/command.js';
import { NodeWorld } from './node-world.js';

/** Where a pod and its node meet. */
export const GATEWAY = { ipv4: '10.244.1.254', ipv6: 'fd00:244:1::fffe' };
const RULES = `table inet twin {
  chain translated {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "eth0" masquerade
  }
}
`;

export class MasqueradeNode extends NodeWorld {
  private constructor() {
    super();
  }

  /** Builds the node and the world outside, and has netfilter translate what leaves by the uplink. */
  static async open(): Promise<MasqueradeNode> {
    const node = new MasqueradeNode();
    try {
      await node.build();
      await node.exec('node', ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
      await node.exec('node', ['sh', '-c', 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding']);
      await run(['nft', '-f', '-'], { netns: node.netns('node'), input: RULES });
      return node;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A pod with the addresses that the twin has there. */
  async addPod(pod: string, { ipv4, ipv6 }: { readonly ipv4: string; readonly ipv6: string }): Promise<void> {
    await this.addNamespace(pod);
    const host = `pod-${pod}`;
    await this.lines('node', [
      `link add ${host} type veth peer name eth0 netns ${this.netns(pod)}`,
      `addr add ${GATEWAY.ipv4}/24 dev ${host}`,
      `addr add ${GATEWAY.ipv6}/64 dev ${host} nodad`,
      `link set ${host} up`,
    ]);
    await this.lines(pod, [
      'link set lo up',
      `addr add ${ipv4}/24 dev eth0`,
      `addr add ${ipv6}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add default via ${GATEWAY.ipv4}`,
      `route add default via ${GATEWAY.ipv6}`,
    ]);
  }
}
