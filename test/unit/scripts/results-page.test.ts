import { describe, expect, it } from 'vitest';
import { packagesOf, savedResults, whereAndWhen } from '../../../bench/saved-results.ts';
import { resultsPage } from '../../../scripts/results-page.ts';

describe('bench/RESULTS.md', () => {
  it.each(savedResults().map((results) => [results.bench, results] as const))(
    '%s says the versions of all that it compares with',
    (bench, { versions, node, machine, date }) => {
      expect(Object.keys(versions)).toEqual(expect.arrayContaining(['OpenSSL', ...packagesOf(bench)]));
      const section = resultsPage()
        .split('\n## ')
        .find((text) => text.startsWith(`${bench}\n`));
      const used = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
      for (const text of [date, machine, node, ...used]) expect(section).toContain(text);
    },
  );

  it('takes the rivals from the files of the benchmark, in a process of its own too', () => {
    expect(packagesOf('store')).toEqual(['classic-level', 'lmdb']);
    expect(packagesOf('release')).toContain('@phala/dcap-qvl');
    expect(packagesOf('ring')).toEqual([]);
    expect(whereAndWhen('store').versions).toEqual({
      OpenSSL: process.versions.openssl,
      'classic-level': expect.stringMatching(/^\d+\.\d+\.\d+$/),
      lmdb: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
  });
});
