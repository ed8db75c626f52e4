import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Metrics } from '../../../src/observe/metrics.ts';

const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');

it('the table for operators has every metric with its type, labels and meaning', async () => {
  const { registry } = new Metrics();
  const rows = (await registry.getMetricsAsJSON()).map(({ name, type, help }) => {
    const metric = registry.getSingleMetric(name);
    const labels = metric !== undefined && 'labelNames' in metric ? metric.labelNames : [];
    // prom-client keeps the names of labels, and its types do not show them.
    const named = (labels as readonly string[]).map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${named} | ${help} |`;
  });
  const shown = page
    .split('\n')
    .filter((line) => /^\| `latchkey_\w+` \| (gauge|counter|histogram) /.test(line));
  expect(shown).toEqual(rows.sort());
});

it('the event loop is measured', async () => {
  const text = await new Metrics({ processMetrics: true }).text();
  for (const part of ['p50', 'p90', 'p99', 'max'])
    expect(text).toContain(`nodejs_eventloop_lag_${part}_seconds`);
});

it('the event loop of an idle node is woken for that ten times a second, and not a hundred times', async () => {
  const metrics = new Metrics({ processMetrics: true });
  await new Promise((resolve) => setTimeout(resolve, 500));
  // The shortest time between two samples, less what the timers are early by.
  const [, least = ''] = /^nodejs_eventloop_lag_min_seconds (\S+)$/m.exec(await metrics.text()) ?? [];
  expect(Number(least)).toBeGreaterThan(0.05);
});
