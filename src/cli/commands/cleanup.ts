// `isthmus cleanup`: removes what an agent leaves behind, or says what that would be.
import type { Command } from 'commander';
import type { Leftover } from '../../agent/cleanup.js';
import { type Instance, openInstance } from '../../api/instances.js';
import { openContext } from '../context.js';
import { CliError, EXIT } from '../exit.js';
import { LEFTOVER_LIST } from '../fields.js';
import { addGlobalOptions } from '../options.js';
import { note, printList } from '../output.js';

interface CleanupFlags {
  readonly yes?: true;
}

/** Adds the options of the command, which has no verbs. */
export function register(command: Command): void {
  addGlobalOptions(command)
    .option('--yes', 'remove it; without this, nothing is changed')
    .addHelpText(
      'after',
      '\nRun it in the network namespace of the node, with the agent stopped. Running pods lose their network.\n' +
        'The journal stays. Exit code 1: something could not be removed.',
    )
    .action(cleanup);
}

async function cleanup({ yes }: CleanupFlags, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  const [instance, ...others] = instances;
  if (instance === undefined || others.length > 0) {
    throw new CliError(EXIT.usage, 'more than one node is here; nothing was removed; name one with --state-dir');
  }
  const items = await withLeftovers(instance, (leftovers) =>
    leftovers.map((one) => ({ node: instance.node, ...view(one, yes === true) })),
  );
  await printList(output, LEFTOVER_LIST, items);
  if (yes !== true && items.length > 0) note(output, 'nothing was changed; --yes removes what is listed');
  const stayed = items.filter(({ result }) => result.startsWith('stays')).length;
  if (stayed > 0) throw new CliError(EXIT.unhealthy, `${stayed} of ${items.length} could not be removed; see above`);
}

async function withLeftovers<T>(instance: Instance, use: (leftovers: Leftover[]) => T): Promise<T> {
  const { listLeftovers, requireStopped } = await import('../../agent/cleanup.js');
  const { loadNative } = await import('../../bpf/native.js');
  const { loadNativeNet } = await import('../../net/native.js');
  const { stateDir } = instance;
  await requireStopped(stateDir);
  // As it is on disk, now that nobody writes it any more.
  const { state, endpoints } = await openInstance(stateDir);
  const net = loadNativeNet();
  const node = net.openNetlink();
  try {
    return use(listLeftovers({ native: loadNative(), net, node, stateDir, state, endpoints }));
  } finally {
    node.close();
  }
}

function view({ kind, name, remove }: Leftover, wanted: boolean): { kind: string; name: string; result: string } {
  if (!wanted) return { kind, name, result: 'there' };
  try {
    remove();
    return { kind, name, result: 'removed' };
  } catch (error) {
    return { kind, name, result: `stays: ${(error as Error).message}` };
  }
}
