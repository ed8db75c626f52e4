import { expect, it } from 'vitest';
import { promqlNames } from '../../support/promql-names.ts';

it('finds every metric, matcher and grouping of an expression', () => {
  const { metrics, groupings } = promqlNames(
    'sum by (job, le) (rate(a_total{state=~"x|y", job!="z"}[5m])) > on (job) max_over_time(b_bytes[1d]) and c offset 5m == 1',
  );
  expect(groupings).toEqual(['job', 'le', 'job']);
  expect(metrics.map(({ metric }) => metric)).toEqual(['a_total', 'b_bytes', 'c']);
  expect(metrics[0]?.matchers).toEqual([
    { label: 'state', operator: '=~', value: 'x|y' },
    { label: 'job', operator: '!=', value: 'z' },
  ]);
});

it('takes a misspelled function for a metric, so that it is not overlooked', () => {
  expect(promqlNames('rat(a_total[5m])').metrics.map(({ metric }) => metric)).toEqual(['rat', 'a_total']);
});
