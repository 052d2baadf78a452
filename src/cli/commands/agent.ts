// `isthmus agent`: runs the daemon in the network namespace of the caller.
import { type Command, Option } from 'commander';
import type { AgentFlags } from '../../agent/settings.js';

/** Adds the options of the daemon. None has a default here: the agent knows defaults and says where a value came from. */
export function register(command: Command): void {
  command
    .option('--node <name>', 'name of this node (default: NODE_NAME, or the host name)')
    .option('--source <where>', 'directory of YAML manifests to watch, or kubernetes (default: /etc/isthmus/manifests)')
    .option('--kubeconfig <file>', 'of the API server (default: the service account of the pod)')
    .option('--state-dir <dir>', 'socket and state (default: /run/isthmus)')
    .option('--bpffs <dir>', 'where maps and links are pinned (default: /sys/fs/bpf/isthmus)')
    .option('--device <name>', 'uplink (default: the device of the default route)')
    .option('--cgroup <path>', 'cgroup whose sockets reach services, and are kept from the NAT ports')
    .option('--cni-conf-dir <dir>', 'where the network of pods is written when it is there (default: nowhere)')
    .addOption(
      new Option('--compile <when>', 'compile the C programs (default: auto)').choices(['auto', 'always', 'never']),
    )
    .addOption(new Option('--attach <how>', 'kind of attachment (default: auto)').choices(['auto', 'tcx', 'clsact']))
    .addOption(
      new Option('--fragments <how>', 'put fragments in order, or only pass those that are (default: auto)').choices([
        'auto',
        'cache',
      ]),
    )
    .addOption(
      new Option('--sockets <when>', 'services at the socket, or by packets only (default: auto)').choices([
        'auto',
        'never',
      ]),
    )
    .addOption(
      new Option('--xdp <how>', 'packets that go back to the wire before the stack (default: auto)').choices([
        'auto',
        'native',
        'generic',
        'never',
      ]),
    )
    .addOption(
      new Option('--big-tcp <when>', 'packets of pods beyond 64 KiB (default: auto)').choices(['auto', 'never']),
    )
    .addOption(new Option('--gro <when>', 'join what pods send without TSO (default: auto)').choices(['auto', 'never']))
    .option('--flow-entries <n>', 'size of the flow table, two entries a flow (default: 1048576)')
    .option('--journal-dir <dir>', 'who had which ports when (default: journal in the state directory)')
    .option('--journal-max-bytes <n>', 'what is more is removed, oldest first (default: 67108864)')
    .option('--journal-max-age-days <n>', 'what is older is removed (default: 90)')
    .option('--healthz-bind-address <address>', 'of /healthz, /livez and /readyz, or off (default: 0.0.0.0:10256)')
    .option('--metrics-bind-address <address>', 'of /metrics and /proxyMode, or off (default: 127.0.0.1:10249)')
    .option('--health-timeout-seconds <n>', 'a change that waits longer makes the node unhealthy (default: 60)')
    .addOption(
      new Option('--log-level <level>', 'least level that is logged (default: info)').choices([
        'trace',
        'debug',
        'info',
        'warn',
        'error',
        'fatal',
      ]),
    )
    .action(async (flags: AgentFlags) => {
      const { runAgent } = await import('../../agent/main.js');
      await runAgent(flags);
    });
}
