import { type Mutation, mutationsOf } from './mutation-points.ts';

/** Names the place of a mutation: absolute file and range. */
export const placeOf = (file: string, { start, end }: Mutation): string => `${file}:${start}-${end}`;

/** Environment variable with the file to which instrumented sources append what is reached: place, tab, test file. */
export const REACH_LOG = 'MUTATION_REACH_LOG';

/** Defines `__reach` once a process. Vitest's worker state names the test file that runs. */
const prelude = `globalThis.__reach ??= (() => {
  const { appendFileSync } = process.getBuiltinModule('node:fs');
  const log = process.env.${REACH_LOG};
  const last = new Map();
  return (place) => {
    const test = globalThis.__vitest_worker__?.filepath;
    if (last.get(place) === test) return;
    last.set(place, test);
    appendFileSync(log, place + '\\t' + test + '\\n');
  };
})();`.replaceAll(/\s+/g, ' ');

/** The source, which records each place of a mutation that runs. */
export function recordingReach(file: string, text: string): string {
  const byRange = new Map(mutationsOf(file, text).map((mutation) => [placeOf(file, mutation), mutation]));
  const inserted = [...byRange].flatMap(([place, { start, end, replacement }]) => {
    const call = `__reach(${JSON.stringify(place)})`;
    const [before, after] = replacement === ';' ? [`{ ${call}; `, ' }'] : [`(${call}, (`, '))'];
    return [
      { at: start, isEnd: false, length: end - start, text: before },
      { at: end, isEnd: true, length: end - start, text: after },
    ];
  });
  // At one position: what ends comes first, the inner one before the outer one; of what begins, the outer one first.
  inserted.sort(
    (a, b) =>
      a.at - b.at ||
      Number(b.isEnd) - Number(a.isEnd) ||
      (a.isEnd ? a.length - b.length : b.length - a.length),
  );
  let position = 0;
  const parts = inserted.flatMap(({ at, text: added }) => {
    const source = text.slice(position, at);
    position = at;
    return [source, added];
  });
  return `${prelude} ${parts.join('')}${text.slice(position)}`;
}
