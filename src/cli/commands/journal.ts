// `isthmus journal export`: the grants and releases of port blocks, for a collector.
import { type Command, Option } from 'commander';
import { journalEvents } from '../../api/journal-reader.js';
import type { BlockEvent } from '../../model/block-grant.js';
import { addJournalOption, openJournals, readingJournal } from '../journals.js';
import { printLines } from '../output.js';
import { parseMoment } from '../time.js';
import { ipfixRecords } from '../view/ipfix.js';

interface ExportOptions {
  readonly format?: 'jsonl' | 'ipfix-json';
  readonly since?: string;
  readonly until?: string;
  readonly journalDir?: string;
}

/** Adds the verbs of `isthmus journal`. */
export function register(command: Command): void {
  addJournalOption(command.command('export').description('grants and releases of port blocks, oldest first'))
    .addOption(new Option('--format <format>', 'one record a line (default: jsonl)').choices(['jsonl', 'ipfix-json']))
    .option('--since <time>', 'RFC 3339, or how long ago: 90s, 15m, 3h, 2d, 1w')
    .option('--until <time>', 'likewise; ends included')
    .option('--state-dir <dir>', 'state directory of the agent (default: /run/isthmus, else every node of the lab)')
    .option('--node <name>', 'only this node')
    .addHelpText('after', '\nWithout --since the blocks that were granted before the journal begins come first.')
    .action(exportEvents);
}

async function exportEvents(options: ExportOptions, command: Command): Promise<void> {
  const now = Date.now();
  const from = options.since === undefined ? -Infinity : parseMoment(options.since, now).from;
  const to = options.until === undefined ? Infinity : parseMoment(options.until, now).to;
  const { places, output } = await openJournals(command, options.journalDir);
  const events = function* (): Generator<object> {
    for (const { directory } of places) {
      for (const event of readingJournal(directory, () => journalEvents(directory))) {
        const time = Date.parse(event.time);
        if (time >= from && time <= to) yield* recordsOf(event, options.format);
      }
    }
  };
  await printLines(output, events());
}

function recordsOf(event: BlockEvent, format: ExportOptions['format']): object[] {
  return format === 'ipfix-json' ? ipfixRecords(event) : [event];
}
