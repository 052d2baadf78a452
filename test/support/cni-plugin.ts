// Runs the CNI plugin as a container runtime does.
import { capture } from '../../src/testbed/command.js';
import { CNI_PLUGIN } from '../../src/testbed/files.js';

export interface CniCallOptions {
  readonly containerID?: string;
  readonly netns?: string;
  readonly ifname?: string;
  readonly args?: string;
  /** Standard input as it is; otherwise a configuration with `cniVersion` and `config`. */
  readonly stdin?: string;
  readonly cniVersion?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Where other plugins are. */
  readonly path?: string;
}

export interface CniOutcome {
  readonly status: number;
  readonly stdout: string;
  /** What was printed, when it was JSON. */
  readonly json: CniJson;
}

/** As the agent's own configuration of the network declares it. */
const capabilities = { bandwidth: true };

/** A result or an error of the plugin. */
export interface CniJson {
  readonly cniVersion?: string;
  readonly code?: number;
  readonly msg?: string;
  readonly details?: string;
  readonly ips?: readonly { readonly address: string; readonly version?: string; readonly interface: number }[];
  readonly interfaces?: readonly {
    readonly name: string;
    readonly mac: string;
    readonly mtu?: number;
    readonly sandbox?: string;
  }[];
  readonly ip4?: { readonly ip: string };
  readonly ip6?: { readonly ip: string };
  readonly dns?: Readonly<Record<string, unknown>>;
}

export interface PluginCall {
  /** Of the agent. */
  readonly socket: string;
  readonly command: string;
  readonly pod: string;
  readonly netns: string;
}

/** Runs it to its end; an error of the plugin is an outcome. */
export async function runPlugin(call: PluginCall, options: CniCallOptions): Promise<CniOutcome> {
  const { cniVersion = '1.1.0', config = {} } = options;
  const { pod } = call;
  const env = {
    CNI_COMMAND: call.command,
    CNI_CONTAINERID: options.containerID ?? `container-${pod}`,
    CNI_NETNS: options.netns ?? call.netns,
    CNI_IFNAME: options.ifname ?? 'eth0',
    CNI_ARGS: options.args ?? `IgnoreUnknown=1;K8S_POD_NAMESPACE=test;K8S_POD_NAME=${pod};K8S_POD_UID=uid-${pod}`,
    CNI_PATH: options.path ?? '/opt/cni/bin',
    ISTHMUS_SOCKET: call.socket,
  };
  const input =
    options.stdin ?? JSON.stringify({ cniVersion, name: 'isthmus', type: 'isthmus-cni', capabilities, ...config });
  const { status, stdout } = await capture([CNI_PLUGIN], { env, input });
  return { status, stdout, json: stdout.startsWith('{') ? (JSON.parse(stdout) as CniJson) : {} };
}
