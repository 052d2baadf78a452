// One agent of a testbed: started detached in its node's namespace, waited for, killed.
import { readFileSync, writeFileSync } from 'node:fs';
import { createAgentClient } from '../api/client.js';
import type { AgentStatus } from '../api/protocol.js';
import { SOCKET_NAME } from '../api/protocol.js';
import { pause, start, until } from './command.js';
import { TestbedError } from './error.js';
import { ISTHMUS } from './files.js';
import type { AgentChoices, TestNode } from './node.js';
import { UPLINK } from './node.js';
import { bpffsOf, cgroupOf } from './node-home.js';

/** Compiling and verifying on a busy machine is the slowest part of a start. */
const READY_MS = 90_000;

export function socketOf(node: TestNode): string {
  return `${node.stateDir}/${SOCKET_NAME}`;
}

/** Starts the agent and returns at once. Its log is `agent.log` in the state directory. */
export function startAgent(node: TestNode, { attach, sockets, xdp }: AgentChoices): number {
  const options = {
    node: node.name,
    source: `${node.stateDir}/manifests`,
    'state-dir': node.stateDir,
    bpffs: bpffsOf(node),
    device: UPLINK,
    cgroup: cgroupOf(node),
    attach,
    sockets,
    xdp,
  };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const pid = start([process.execPath, ISTHMUS, 'agent', ...flags], {
    netns: node.netns,
    cgroup: cgroupOf(node),
    log: `${node.stateDir}/agent.log`,
  });
  writeFileSync(`${node.stateDir}/agent.pid`, `${pid}\n`);
  return pid;
}

/** Waits until this very process answers. Throws TestbedError with the end of its log. */
export async function waitForAgent(node: TestNode, pid: number): Promise<void> {
  const answers = async (): Promise<boolean> => {
    if (!isAlive(pid)) throw agentFailed(node, `exited before it was ready`);
    return (await askAgent(node))?.pid === pid;
  };
  if (!(await until(answers, READY_MS))) throw agentFailed(node, `did not answer within ${READY_MS / 1000} s`);
}

/** undefined when it does not answer. */
export async function askAgent(node: TestNode): Promise<AgentStatus | undefined> {
  return createAgentClient(socketOf(node))
    .status()
    .catch(() => undefined);
}

/** Waits until every agent has put in force what was written before `since`, milliseconds of the epoch. */
export async function waitForChange(nodes: readonly TestNode[], since: number): Promise<void> {
  for (const node of nodes) {
    const changed = async (): Promise<boolean> => Date.parse((await askAgent(node))?.state.updated ?? '') >= since;
    if (!(await until(changed, 5000))) throw agentFailed(node, 'did not take up the new manifests within 5 s');
  }
}

/** Ends the agent without any chance to clean up. */
export async function killAgent(node: TestNode): Promise<void> {
  const pid = agentPid(node);
  if (pid === undefined) throw new TestbedError(`no agent of ${node.name} runs: nothing was killed`);
  process.kill(pid, 'SIGKILL');
  if (!(await until(() => !isAlive(pid), 5000)))
    throw new TestbedError(`agent ${pid} of ${node.name} survived SIGKILL`);
}

/** Kills the agent, leaves the node alone for a while, and starts another one that adopts what is pinned. */
export async function restartAgent(node: TestNode, choices: AgentChoices, downMs: number): Promise<number> {
  await killAgent(node);
  await pause(downMs);
  const pid = startAgent(node, choices);
  await waitForAgent(node, pid);
  return pid;
}

/** Pid of the running agent; undefined when the recorded process is another one or gone. */
export function agentPid(node: TestNode): number | undefined {
  try {
    const pid = Number(readFileSync(`${node.stateDir}/agent.pid`, 'utf8'));
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return command.includes('agent') && command.includes(node.name) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** A zombie is not alive: our own children stay in the process table until we reap them. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function agentFailed(node: TestNode, what: string): TestbedError {
  const log = `${node.stateDir}/agent.log`;
  return new TestbedError(`the agent of ${node.name} ${what}. What was built stays. End of ${log}:\n${tail(log)}`);
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
  } catch {
    return '(empty)';
  }
}
