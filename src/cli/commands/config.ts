// `isthmus config show`: the settings in force, and where each came from.
import type { Command } from 'commander';
import { openContext } from '../context.js';
import { SETTING_LIST, SETTING_ORIGIN_LIST } from '../fields.js';
import { addGlobalOptions } from '../options.js';
import { printList } from '../output.js';

/** Adds the verbs of `isthmus config`. */
export function register(command: Command): void {
  addGlobalOptions(command.command('show').description('settings that the agent runs with'))
    .option('--origin', 'show where each value came from: flag, environment, file or default')
    .action(showConfig);
}

async function showConfig(options: { readonly origin?: true }, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  const items = instances.flatMap(({ node, state }) => state.settings.map((setting) => ({ node, ...setting })));
  await printList(output, options.origin === true ? SETTING_ORIGIN_LIST : SETTING_LIST, items);
}
