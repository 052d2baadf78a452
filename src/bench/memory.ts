// What an agent needs while nothing happens.

import { pause } from '../testbed/command.js';
import { TestbedError } from '../testbed/error.js';
import { askAgent } from '../testbed/node-agent.js';
import type { BenchPlan } from './plan.js';

export interface MemorySample {
  readonly node: string;
  /** Resident set, bytes. */
  readonly rssBytes: number;
  /** Seconds that the agent had been running. */
  readonly age: number;
}

/** Seconds until what a start needed has been given back. */
const SETTLED = 15;

/** One sample a node; waits until every agent is old enough. */
export async function measureMemory(plan: BenchPlan, signal: AbortSignal): Promise<MemorySample[]> {
  const samples: MemorySample[] = [];
  for (const node of plan.nodes) {
    let status = await askAgent(node);
    while (status && ageOf(status.started) < SETTLED) {
      signal.throwIfAborted();
      await pause(500);
      status = await askAgent(node);
    }
    if (!status) throw new TestbedError(`the agent of ${node.name} does not answer`);
    samples.push({ node: node.name, rssBytes: status.rssBytes, age: ageOf(status.started) });
  }
  return samples;
}

function ageOf(started: string): number {
  return (Date.now() - Date.parse(started)) / 1000;
}
