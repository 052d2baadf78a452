// Writes docs/rfc.md from a report of the netns tests: node build/test/support/rfc-page-main.js REPORT
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../src/testbed/files.js';
import { DOCUMENTS } from '../netns/rfc/requirements.js';
import { makeRfcPage, type TestReport } from './rfc-page.js';

const PAGE = join(ROOT, 'docs/rfc.md');

function main(report: string | undefined): number {
  if (report === undefined || !existsSync(report)) {
    console.error(`docs/rfc.md: there is no report ${report ?? ''} of the netns tests; nothing was written`);
    return 2;
  }
  const { text, problems } = makeRfcPage(DOCUMENTS, JSON.parse(readFileSync(report, 'utf8')) as TestReport);
  const before = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  writeFileSync(PAGE, text);
  const changed = before === text ? [] : ['it was not what this run found; it was written anew: commit it'];
  for (const problem of [...problems, ...changed]) console.error(`docs/rfc.md: ${problem}`);
  return problems.length + changed.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv[2]);
