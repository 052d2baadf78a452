import type { BenchReport } from '../report.js';
export async function writeHtml(_p: string, _r: readonly BenchReport[]): Promise<{ missing?: string }> {
  return {};
}
