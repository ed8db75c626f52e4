// Shows which conditions of a room no test notices. Run with:
//   npm run mutate -- ROOM [--again | --report] [--only N [--seed S]] [--in FILE,FILE] [--tests FILTER,FILTER]
//   npm run mutate -- --sample N [--seed S]
// Outcomes are kept in test/mutations/ROOM.txt, so that a run that was stopped goes on where it ended; a mutation is tried
// again when its file changes. Survivors are listed in docs/mutations/ROOM.md, where each gets a reason by
// hand, which stays while it waits to be tried again.
// --again tries survivors once more, for tests that came since. --report tries nothing more and writes the page from what
// is known. --only N tries N of those that are open, drawn by the seed: for rooms that take hours. --in tries those of files
// whose paths contain one of the texts, in this order. --tests runs fewer tests than the room has; then only what they notice
// is kept. --sample takes N mutations of each room that were noticed, and shows that the same test files still notice them.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Reported, readReasons, reportOf } from './mutate-report.ts';
import { testsOfRoom } from './mutate-rooms.ts';
import { type Candidate, candidatesOf, sampleOf } from './mutation-candidates.ts';
import { MutationResults } from './mutation-results.ts';
import { type Outcome, RoomTests } from './mutation-tests.ts';

/** Mutations that are tried before the process that runs the tests is controlled. */
const CONTROL_EVERY = 25;

interface Attempt {
  readonly candidate: Candidate;
  readonly outcome: Outcome;
}

/** Tries mutations, and records their outcomes once the process that ran the tests was found sound. */
async function tryAll(
  tests: RoomTests,
  candidates: readonly Candidate[],
  keep: (id: string, outcome: Outcome) => void,
): Promise<void> {
  for (let from = 0; from < candidates.length; from += CONTROL_EVERY) {
    const attempts: Attempt[] = [];
    for (const [index, candidate] of candidates.slice(from, from + CONTROL_EVERY).entries()) {
      const number = `${from + index + 1}/${candidates.length}`;
      attempts.push({ candidate, outcome: await timed(number, candidate, () => tests.try(candidate)) });
    }
    for (const { candidate, outcome } of await settled(tests, attempts)) keep(candidate.id, outcome);
  }
}

/**
 * Outcomes that hold. What was noticed in a process that is not sound, or did not live until its control, is tried again:
 * together in another process, and, when that one is not sound either, each in a process of its own.
 */
async function settled(tests: RoomTests, attempts: readonly Attempt[]): Promise<readonly Attempt[]> {
  if (await tests.control()) return attempts;
  tests.stop();
  const together = await noticedAgain(attempts, (candidate) => tests.try(candidate));
  if (await tests.control()) return together;
  return noticedAgain(together, (candidate) => tests.try(candidate, true));
}

async function noticedAgain(
  attempts: readonly Attempt[],
  run: (candidate: Candidate) => Promise<Outcome>,
): Promise<readonly Attempt[]> {
  const results: Attempt[] = [];
  for (const { candidate, outcome } of attempts) {
    const isSure = outcome === 'survived' || outcome === 'endless';
    results.push({
      candidate,
      outcome: isSure ? outcome : await timed('again', candidate, () => run(candidate)),
    });
  }
  return results;
}

async function timed(
  number: string,
  { file, mutation }: Candidate,
  run: () => Promise<Outcome>,
): Promise<Outcome> {
  const startMs = Date.now();
  const outcome = await run();
  const seconds = ((Date.now() - startMs) / 1000).toFixed(1);
  const shown = typeof outcome === 'string' ? outcome : 'noticed';
  console.log(`${number} ${shown} ${file}:${mutation.line} ${mutation.replacement} (${seconds} s)`);
  return outcome;
}

interface RoomOptions {
  readonly again: boolean;
  readonly report: boolean;
  /** How many to try, a whole number; all of them when it is left out. */
  readonly only?: string | undefined;
  readonly seed: string;
  /** Parts of paths, separated by commas; all files when it is left out. */
  readonly in?: string | undefined;
  /** Filters of test files, separated by commas; those of the room when it is left out. */
  readonly tests?: string | undefined;
}

/** The mutations of files whose paths contain one of the texts, in the order of the texts. */
function inFiles(all: readonly Candidate[], texts: string | undefined): readonly Candidate[] {
  if (texts === undefined) return all;
  const found = texts.split(',').flatMap((text) => all.filter(({ file }) => file.includes(text)));
  return [...new Set(found)];
}

async function runRoom(room: string, options: RoomOptions): Promise<void> {
  const roomTests = testsOfRoom[room];
  if (roomTests === undefined)
    throw new TypeError(`ROOM must be one of ${Object.keys(testsOfRoom).join(', ')}`);
  const all = candidatesOf(room);
  const results = new MutationResults(room);
  const isOpen = ({ id }: Candidate): boolean => {
    const outcome = results.get(id);
    return outcome === undefined || (options.again && outcome === 'survived');
  };
  const allOpen = options.report ? [] : inFiles(all, options.in).filter(isOpen);
  const { only, seed } = options;
  const filters = options.tests?.split(',');
  const open = only === undefined ? allOpen : sampleOf(allOpen, Number(only), Number(seed));
  console.log(`${room}: ${all.length} mutations, ${open.length} to try`);
  if (open.length > 0) {
    const tests = new RoomTests(filters ?? roomTests);
    // Tests that do not run may notice what these do not.
    const keep = (id: string, outcome: Outcome): void => {
      if (filters === undefined || outcome !== 'survived') results.add(id, outcome);
    };
    process.once('exit', () => tests.stop());
    await tests.plan([...new Set(open.map(({ file }) => file))]);
    await tryAll(tests, open, keep);
    tests.stop();
  }
  results.keepOnly(all);
  writeReport(room, all, results);
}

function writeReport(room: string, all: readonly Candidate[], results: MutationResults): void {
  const reported: Reported[] = all.map(({ file, mutation, id }) => {
    const outcome = results.get(id);
    return { file, mutation, isNoticed: outcome && outcome !== 'survived' };
  });
  const page = join('docs', 'mutations', `${room}.md`);
  const reasons = existsSync(page) ? readReasons(readFileSync(page, 'utf8')) : new Map();
  const report = reportOf(room, reported, reasons);
  mkdirSync(join('docs', 'mutations'), { recursive: true });
  writeFileSync(page, report.text);
  console.log(report.summary);
  for (const survivor of report.unexplained) console.log(`unexplained: ${survivor}`);
  process.exitCode = report.unexplained.length > 0 ? 1 : 0;
}

/** Tries mutations of every room once more, each with the test file that noticed it. */
async function runSample(count: number, seed: number): Promise<void> {
  const tests = new RoomTests(['test']);
  process.once('exit', () => tests.stop());
  let survivors = 0;
  let unknown = 0;
  for (const room of Object.keys(testsOfRoom)) {
    const results = new MutationResults(room);
    const all = candidatesOf(room);
    unknown += all.filter(({ id }) => results.get(id) === undefined).length;
    const noticed = all.flatMap((candidate) => {
      const outcome = results.get(candidate.id);
      return typeof outcome === 'object' ? [{ candidate, test: outcome.noticedBy }] : [];
    });
    const chosen = sampleOf(noticed, count, seed);
    for (const [index, { candidate, test }] of chosen.entries()) {
      const outcome = await timed(`${index + 1}/${chosen.length}`, candidate, () =>
        tests.tryOnly(candidate, test),
      );
      if (outcome === 'survived') survivors += 1;
    }
  }
  tests.stop();
  console.log(`${unknown} conditions have no outcome for their present source`);
  console.log(`seed ${seed}: ${survivors} conditions are not tested any more`);
  process.exitCode = survivors > 0 ? 1 : 0;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
    again: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
    in: { type: 'string' },
    tests: { type: 'string' },
  },
});
if (values.sample === undefined) await runRoom(positionals[0] ?? '', values);
else await runSample(Number(values.sample), Number(values.seed));
