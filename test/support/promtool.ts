import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Whether Debian's `prometheus` is installed, which has promtool. */
export const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

/** The alert rules of the kit. */
export const rulesFile = fileURLToPath(new URL('../../kit/prometheus/latchkey.rules.yml', import.meta.url));

/** A query and the series that it has to give, exactly. */
export interface ExpectedSamples {
  readonly expr: string;
  readonly eval_time: string;
  readonly exp_samples: readonly { readonly labels: string; readonly value: number }[];
}

/** One group of tests of `promtool test rules`. */
export interface RuleTest {
  readonly name: string;
  readonly interval: string;
  readonly input_series: readonly { readonly series: string; readonly values: string }[];
  readonly promql_expr_test: readonly ExpectedSamples[];
}

/** A series in the notation of Prometheus, labels in the order of their names. */
export function seriesOf(name: string, labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${name}{${entries.map(([key, value]) => `${key}="${value}"`).join(', ')}}`;
}

/** Runs promtool. @returns its whole output, and whether it found nothing wrong. */
export function promtool(args: readonly string[]): { readonly isGood: boolean; readonly output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' });
  return { isGood: status === 0, output: `${stdout}${stderr}` };
}

/** Tests the rules of the kit by `promtool test rules`. @param evaluationInterval such as `1m`. */
export function testRules(
  tests: readonly RuleTest[],
  evaluationInterval: string,
): { readonly isGood: boolean; readonly output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-rules-'));
  try {
    // JSON is YAML.
    const content = { rule_files: [rulesFile], evaluation_interval: evaluationInterval, tests };
    writeFileSync(join(folder, 'tests.yml'), JSON.stringify(content));
    return promtool(['test', 'rules', join(folder, 'tests.yml')]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
