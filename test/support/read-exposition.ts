/** One sample of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
}

/** What a scrape says: the families that are declared, and the samples. */
export interface Exposition {
  /** Declared names with their types; of a histogram also its `_bucket`, `_sum` and `_count`. */
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
}

/** Reads the text format of Prometheus, version 0.0.4. @throws SyntaxError at a line that is none. */
export function readExposition(text: string): Exposition {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('# HELP'))) {
    const declared = /^# TYPE (\w+) (\w+)$/.exec(line);
    if (declared !== null) {
      const [, name = '', type = ''] = declared;
      types.set(name, type);
      if (type === 'histogram')
        for (const part of ['bucket', 'sum', 'count']) types.set(`${name}_${part}`, type);
      continue;
    }
    const sample = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new SyntaxError(`no line of an exposition: ${line}`);
    const [, name = '', inner = '', value = ''] = sample;
    const labels = Object.fromEntries(
      [...inner.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text]),
    );
    samples.push({ name, labels, value });
  }
  return { types, samples };
}
