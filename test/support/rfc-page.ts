// Makes docs/rfc.md of the requirements and of what their tests did, and says what is wrong with either.
import type { Document, Requirement } from '../netns/rfc/requirements.js';

/** The part of vitest's JSON report that is read. */
export interface TestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

export interface RfcPage {
  readonly text: string;
  /** A sentence each; none when all is as it should be. */
  readonly problems: readonly string[];
}

/** The tests of one name in one file; with several families or settings there is more than one of them. */
interface NamedTest {
  readonly id: string;
  readonly file: string;
  readonly title: string;
  readonly passed: boolean;
  /** Ran neither well nor badly. */
  readonly skipped: boolean;
}

const FOLDER = 'test/netns/rfc/';
const NAME = /^(\d{4}-[\w.]+): (.+)$/;

/** Deterministic: no times, and the order of the requirements. */
export function makeRfcPage(documents: readonly Document[], report: TestReport): RfcPage {
  const { tests, strays } = collectTests(report);
  const requirements = documents.flatMap((document) => document.requirements);
  const rows = new Map(requirements.map((one) => [one.id, tests.filter(({ id }) => id === one.id)]));
  const unknown = tests.filter(({ id }) => !rows.has(id));
  const problems = [
    ...strays,
    ...unknown.map(({ file, title, id }) => `${file}: '${id}: ${title}' names ${id}, which is no requirement`),
    ...requirements.flatMap((one) => faultsOf(one, rows.get(one.id) ?? [])),
  ];
  const sections = documents.map((document) => section(document, rows));
  const text = [...header(requirements, rows), ...sections.flat()].join('\n');
  return { text: `${text.trimEnd()}\n`, problems };
}

function collectTests({ testResults }: TestReport): { tests: NamedTest[]; strays: string[] } {
  const strays: string[] = [];
  const named = new Map<string, NamedTest>();
  for (const { name, assertionResults } of [...testResults].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const at = name.lastIndexOf(FOLDER);
    if (at < 0) continue;
    const file = name.slice(at);
    for (const { title, status } of assertionResults) {
      const [, id, what] = NAME.exec(title) ?? [];
      if (id === undefined || what === undefined) strays.push(`${file}: '${title}' does not begin with a requirement`);
      else add(named, { id, file, title: what, passed: status === 'passed', skipped: !/passed|failed/.test(status) });
    }
  }
  return { tests: [...named.values()], strays };
}

function add(named: Map<string, NamedTest>, test: NamedTest): void {
  const key = `${test.file} ${test.id} ${test.title}`;
  const known = named.get(key) ?? test;
  named.set(key, { ...test, passed: known.passed && test.passed, skipped: known.skipped || test.skipped });
}

function faultsOf({ id, level, deviation, notApplicable }: Requirement, tests: readonly NamedTest[]): string[] {
  if (tests.length === 0) return [`${id}: no test has its name`];
  const failed = tests.filter(({ passed }) => !passed);
  if (failed.length === 0) return [];
  if (tests.some(({ skipped }) => skipped)) return [`${id}: its test was skipped`];
  const claims = deviation ?? notApplicable;
  if (claims !== undefined) return [`${id}: what is said to happen instead does not`];
  return level === 'MUST' ? [`${id}: a MUST fails, and no deviation says why`] : [`${id}: its test fails`];
}

function verdictOf(requirement: Requirement, tests: readonly NamedTest[]): string {
  const { deviation, notApplicable, remark } = requirement;
  if (tests.length === 0) return '**not tested**';
  if (tests.some(({ skipped }) => skipped)) return '**not run**';
  if (tests.some(({ passed }) => !passed)) return '**fails**';
  if (deviation !== undefined) return `**deviates**: ${deviation}`;
  if (notApplicable !== undefined) return `not applicable: ${notApplicable}`;
  return remark === undefined ? 'pass' : `pass; ${remark}`;
}

function header(requirements: readonly Requirement[], rows: ReadonlyMap<string, readonly NamedTest[]>): string[] {
  const verdicts = requirements.map((one) => ({ level: one.level, verdict: verdictOf(one, rows.get(one.id) ?? []) }));
  const count = (level: string, kind: RegExp): number =>
    verdicts.filter((one) => one.level === level && kind.test(one.verdict)).length;
  const kinds = [/^pass/, /^\*\*deviates/, /^not applicable/, /^\*\*(?:fails|not)/];
  return [
    '# Translation and the RFCs',
    '',
    '<!-- Made by the test run (scripts/test.sh netns) from test/netns/rfc. Do not edit. -->',
    '',
    'What the RFCs ask of a translator of addresses and ports, in our words, and what the tests found: real pods and servers on real',
    'network stacks, through a real agent in island mode, IPv4 and IPv6 alike. The test run writes this page, and fails when a requirement has',
    'no test, when a MUST fails without a reason, or when this page is not what it found. A row that **deviates** says what happens instead; that',
    'is what its test shows.',
    '',
    '| level | pass | deviates | not applicable | fails |',
    '|---|---|---|---|---|',
    ...['MUST', 'SHOULD', 'MAY', 'info'].map(
      (level) => `| ${level} | ${kinds.map((kind) => count(level, kind)).join(' | ')} |`,
    ),
    '',
  ];
}

function section({ rfc, title, requirements }: Document, rows: ReadonlyMap<string, readonly NamedTest[]>): string[] {
  return [
    `## RFC ${rfc}: ${title}`,
    '',
    '| id | requirement | level | verdict | test |',
    '|---|---|---|---|---|',
    ...requirements.map((one) => {
      const tests = rows.get(one.id) ?? [];
      return row([one.id, one.text, one.level, verdictOf(one, tests), tests.map(testText).join('<br>')]);
    }),
    '',
  ];
}

function testText({ file, title }: NamedTest): string {
  return `[${file.slice(FOLDER.length).replace(/\.test\.ts$/, '')}](../${file}): ${title}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
