// Shows which conditions of a room no test notices. Run with:
//   npm run mutate -- ROOM [--sample N [--seed S]] [--again | --report]
// Outcomes are kept in .mutations/ROOM.jsonl, so that a run that was stopped goes on where it ended; a mutation is tried
// again when its file changes. Survivors are listed in docs/mutations/ROOM.md, where each gets a reason by hand.
// --again tries survivors once more, for tests that came since. --report tries nothing more and writes the page from what is known.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { sha256Hex } from '../src/crypto/sha2.ts';
import { type Outcome, readReasons, reportOf, type Tried } from './mutate-report.ts';
import { testsOfRoom } from './mutate-rooms.ts';
import { type Mutation, mutate, mutationsOf } from './mutation-points.ts';

/** A test run that takes longer hangs: the change made a loop that does not end. */
const HANGS_AFTER_MS = 600_000;
/** Likely test files that run before the others. */
const MAX_LIKELY = 2;

interface Candidate {
  /** Relative to the project. */
  readonly file: string;
  readonly text: string;
  readonly mutation: Mutation;
  /** Names the mutation and the text that it changes. */
  readonly id: string;
}

function candidatesOf(room: string): readonly Candidate[] {
  const files = readdirSync(join('src', room), { recursive: true, encoding: 'utf8' });
  return files
    .filter((name) => name.endsWith('.ts'))
    .sort()
    .flatMap((name) => {
      const file = join('src', room, name);
      const text = readFileSync(file, 'utf8');
      return mutationsOf(file, text).map((mutation) => {
        const { start, end, replacement } = mutation;
        const id = sha256Hex(new TextEncoder().encode(JSON.stringify([file, text, start, end, replacement])));
        return { file, text, mutation, id };
      });
    });
}

/** Picks `count` of the candidates; the same ones for the same seed (xorshift32). */
function sampleOf<T>(all: readonly T[], count: number, seed: number): readonly T[] {
  let state = seed | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return [...all]
    .map((value) => ({ value, at: next() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, count)
    .map(({ value }) => value);
}

/** Runs tests until the first fails; the failing file, `hangs` when they did not end, `undefined` when all pass. */
async function failureOf(
  tests: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const output = join(tmpdir(), `mutation-${process.pid}.json`);
  rmSync(output, { force: true });
  const reporter = ['--reporter', 'json', '--outputFile', output];
  const config = ['--config', 'scripts/mutate-vitest.config.ts', ...reporter];
  const child = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...tests, ...config], {
    env: { ...process.env, ...environment },
    stdio: 'ignore',
    // A group of its own, so that a worker that hangs ends too.
    detached: true,
  });
  const end = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  const timer = setTimeout(end, HANGS_AFTER_MS);
  process.once('exit', end);
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  process.off('exit', end);
  if (code === 0) return undefined;
  if (!existsSync(output)) return 'hangs';
  // Vitest writes Jest's format.
  const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as {
    readonly testResults: readonly { readonly name: string; readonly status: string }[];
  };
  const failed = testResults.find(({ status }) => status === 'failed')?.name;
  return failed === undefined ? 'hangs' : relative(process.cwd(), failed);
}

/** Test files that noticed a mutation of a source file, the newest first: they probably notice the next one. */
const noticedBy = new Map<string, readonly string[]>();

/** A few likely test files first, then all of the room. */
async function outcomeOf({ file, text, mutation }: Candidate, tests: readonly string[]): Promise<Outcome> {
  const changed = join(tmpdir(), `mutation-${process.pid}.ts`);
  writeFileSync(changed, mutate(text, mutation));
  const environment = { MUTATED_FILE: join(process.cwd(), file), MUTATED_TEXT: changed };
  const likely = noticedBy.get(file) ?? [];
  for (const round of likely.length > 0 ? [likely, tests] : [tests]) {
    const failed = await failureOf(round, environment);
    if (failed === undefined) continue;
    if (failed !== 'hangs') {
      const others = likely.filter((known) => known !== failed);
      noticedBy.set(file, [failed, ...others].slice(0, MAX_LIKELY));
    }
    return 'noticed';
  }
  return 'survived';
}

function readResults(path: string): Map<string, Outcome> {
  if (!existsSync(path)) return new Map();
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  // The script wrote the lines itself.
  const entries = lines.map((line) => JSON.parse(line) as { id: string; outcome: Outcome });
  return new Map(entries.map(({ id, outcome }) => [id, outcome]));
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      sample: { type: 'string' },
      seed: { type: 'string', default: '1' },
      again: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
    },
  });
  const [room = ''] = positionals;
  const tests = testsOfRoom[room];
  if (tests === undefined) throw new TypeError(`ROOM must be one of ${Object.keys(testsOfRoom).join(', ')}`);
  const all = candidatesOf(room);
  const chosen =
    values.sample === undefined ? all : sampleOf(all, Number(values.sample), Number(values.seed));
  mkdirSync('.mutations', { recursive: true });
  const resultsPath = join('.mutations', `${room}.jsonl`);
  const results = readResults(resultsPath);
  const isOpen = ({ id }: Candidate): boolean =>
    !results.has(id) || (values.again && results.get(id) === 'survived');
  const open = values.report ? [] : chosen.filter(isOpen);
  console.log(`${room}: ${all.length} mutations, ${chosen.length} chosen, ${open.length} to try`);
  if (open.length > 0 && (await failureOf(tests, {})) !== undefined) {
    throw new Error('the tests fail without any mutation, so they show nothing');
  }
  for (const [index, candidate] of open.entries()) {
    const outcome = await outcomeOf(candidate, tests);
    results.set(candidate.id, outcome);
    appendFileSync(resultsPath, `${JSON.stringify({ id: candidate.id, outcome })}\n`);
    const { file, mutation } = candidate;
    console.log(`${index + 1}/${open.length} ${outcome} ${file}:${mutation.line} ${mutation.replacement}`);
  }
  const tried: Tried[] = chosen.flatMap(({ file, mutation, id }) => {
    const outcome = results.get(id);
    return outcome === undefined ? [] : [{ file, mutation, outcome }];
  });
  const page = join('docs', 'mutations', `${room}.md`);
  const reasons = existsSync(page) ? readReasons(readFileSync(page, 'utf8')) : new Map();
  const report = reportOf(room, all.length, tried, reasons);
  // A sample says too little for the page.
  if (values.sample === undefined) {
    mkdirSync(join('docs', 'mutations'), { recursive: true });
    writeFileSync(page, report.text);
  }
  console.log(report.summary);
  for (const survivor of report.unexplained) console.log(`unexplained: ${survivor}`);
  process.exitCode = report.unexplained.length > 0 ? 1 : 0;
}

await main();
