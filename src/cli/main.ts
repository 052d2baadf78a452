#!/usr/bin/env node
// The `isthmus` program: registers commands, nothing else. The one place where cli, agent, lab and bench meet.
import { Command } from 'commander';
import { finish, prepare } from './run.js';

interface CommandModule {
  /** Adds verbs, options and actions to the noun's command. */
  register(command: Command): void;
}

interface Registration {
  readonly name: string;
  readonly description: string;
  /** Imports the module only when its command is called: help and simple commands start quickly. */
  load(): Promise<CommandModule>;
}

const COMMANDS: readonly Registration[] = [
  { name: 'status', description: 'health of the dataplane', load: () => import('./commands/status.js') },
  { name: 'endpoint', description: 'pods of this node', load: () => import('./commands/endpoint.js') },
  { name: 'route', description: 'where packets of pods go', load: () => import('./commands/route.js') },
  { name: 'service', description: 'frontends and their backends', load: () => import('./commands/service.js') },
  {
    name: 'affinity',
    description: 'clients that keep their backend',
    load: () => import('./commands/affinity.js'),
  },
  { name: 'flow', description: 'connections as the kernel tracks them', load: () => import('./commands/flow.js') },
  {
    name: 'nat',
    description: 'translated flows, and who is behind an address',
    load: () => import('./commands/nat.js'),
  },
  {
    name: 'journal',
    description: 'who had which ports when, for a collector',
    load: () => import('./commands/journal.js'),
  },
  { name: 'map', description: 'pinned BPF maps', load: () => import('./commands/map.js') },
  { name: 'drop', description: 'dropped packets by reason', load: () => import('./commands/drop.js') },
  { name: 'config', description: 'settings in force', load: () => import('./commands/config.js') },
  {
    name: 'lab',
    description: 'two clusters on this machine: build, check, explore',
    load: () => import('./commands/lab.js'),
  },
  {
    name: 'bench',
    description: 'measure this datapath beside its limits and netfilter',
    load: () => import('./commands/bench.js'),
  },
  {
    name: 'cleanup',
    description: 'remove what a stopped agent leaves behind',
    load: () => import('./commands/cleanup.js'),
  },
  { name: 'agent', description: 'run the agent in this network namespace', load: () => import('./commands/agent.js') },
];

const program = prepare(new Command('isthmus'));
const modules = new Map(COMMANDS.map(({ name, load }) => [name, load]));
for (const { name, description } of COMMANDS) program.command(name).description(description);
program.hook('preSubcommand', async (_program, command) => {
  const module = await modules.get(command.name())?.();
  module?.register(command);
});
await finish(program, process.argv);
