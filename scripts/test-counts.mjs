// Prints how many tests of a report passed, failed and were skipped: vitest's JSON, or that of `isthmus lab run` and of
// the guard.
import { readFileSync } from 'node:fs';

const report = JSON.parse(readFileSync(process.argv[2], 'utf8'));

function countLab({ summary }) {
  return [summary.ok, summary.failed, summary.skipped ?? 0];
}

/** A file that could not be loaded has no tests, and is one failure. */
function countVitest({ testResults }) {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const broken = testResults.filter(({ status, assertionResults }) => {
    return status === 'failed' && !assertionResults.some((test) => test.status === 'failed');
  });
  const of = (...statuses) => tests.filter(({ status }) => statuses.includes(status));
  const skipped = of('skipped', 'pending', 'todo', 'disabled');
  for (const { fullName } of skipped) console.error(`skipped: ${fullName}`);
  return [of('passed').length, of('failed').length + broken.length, skipped.length];
}

console.log(...(report.testResults ? countVitest(report) : countLab(report)));
