/** One metric that a PromQL expression reads, with the matchers of its labels. */
export interface ReadMetric {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

/** What an expression names: metrics, and the labels by which it groups or joins. */
export interface PromqlNames {
  readonly metrics: readonly ReadMetric[];
  readonly groupings: readonly string[];
}

/** Words of PromQL that are no metric. A word that is missing here would be reported as a metric, never overlooked. */
const WORDS = new Set(
  'and or unless by on ignoring without group_left group_right offset bool absent changes count sum min max avg rate increase vector time histogram_quantile predict_linear min_over_time max_over_time'.split(
    ' ',
  ),
);

/** Every metric and label of an expression; every other word must be one of PromQL's. */
export function promqlNames(expr: string): PromqlNames {
  const metrics: ReadMetric[] = [];
  const groupings: string[] = [];
  const rest = expr
    .replaceAll(/\b(?:by|on|group_right|group_left)\s*\(([^)]*)\)/g, (_all, labels: string) => {
      groupings.push(...labels.split(',').flatMap((label) => label.trim() || []));
      return ' ';
    })
    .replaceAll(/\[[^\]]*\]|\boffset\s+\w+/g, ' ')
    .replaceAll(/([a-zA-Z_:][\w:]*)?\{([^}]*)\}/g, (_all, metric: string | undefined, inner: string) => {
      const found = [...inner.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)];
      metrics.push({
        metric: metric ?? '',
        matchers: found.map(([, label = '', operator = '', value = '']) => ({ label, operator, value })),
      });
      return ' ';
    });
  for (const [word] of rest.matchAll(/\b[a-zA-Z_:][\w:]*/g))
    if (!WORDS.has(word)) metrics.push({ metric: word, matchers: [] });
  return { metrics, groupings };
}
