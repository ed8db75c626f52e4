// Shows which conditions of a room no test notices. Run with:
//   npm run mutate -- ROOM [--sample N [--seed S]] [--again | --report]
// Outcomes are kept in .mutations/ROOM.jsonl, so that a run that was stopped goes on where it ended; a mutation is tried
// again when its file changes. Survivors are listed in docs/mutations/ROOM.md, where each gets a reason by hand.
// --again tries survivors once more, for tests that came since. --report tries nothing more and writes the page from what is known.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sha256Hex } from '../src/crypto/sha2.ts';
import { type Outcome, readReasons, reportOf, type Tried } from './mutate-report.ts';
import { testsOfRoom } from './mutate-rooms.ts';
import { type Mutation, mutate, mutationsOf } from './mutation-points.ts';
import type { Change, Verdict } from './mutation-runner.ts';

/** The tests of a room without a change, on a busy machine. */
const LONGEST_BASELINE_MS = 1_200_000;

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

/** The process that runs the tests; a new one is started when a change makes it hang. */
class Tests {
  readonly #filters: readonly string[];
  #child: ChildProcess | undefined;
  #hangsAfterMs = LONGEST_BASELINE_MS;

  constructor(filters: readonly string[]) {
    this.#filters = filters;
  }

  /** Runs all tests without a change. @throws Error when they fail: then they show nothing. */
  async start(): Promise<void> {
    const startMs = Date.now();
    const verdict = await this.#ask('baseline');
    if (verdict === 'hangs' || verdict.fault !== undefined || verdict.failed !== undefined)
      throw new Error(
        `the tests fail without any mutation, so they show nothing: ${JSON.stringify(verdict)}`,
      );
    this.#hangsAfterMs = 60_000 + 10 * (Date.now() - startMs);
  }

  async try({ file, mutation, text }: Candidate): Promise<Outcome> {
    if (this.#child === undefined) await this.#ask('baseline');
    const verdict = await this.#ask({ file: join(process.cwd(), file), text: mutate(text, mutation) });
    if (verdict === 'hangs') return 'noticed';
    if (verdict.fault !== undefined) throw new Error(`${file}:${mutation.line}: ${verdict.fault}`);
    return verdict.failed === undefined ? 'survived' : 'noticed';
  }

  async #ask(message: Change | 'baseline'): Promise<Verdict | 'hangs'> {
    this.#child ??= await startRunner(this.#filters);
    const child = this.#child;
    child.send(message);
    const ended = new AbortController();
    const timer = setTimeout(() => ended.abort(), this.#hangsAfterMs);
    const onExit = (): void => ended.abort();
    child.once('exit', onExit);
    try {
      // The runner sends nothing else.
      const [verdict] = (await once(child, 'message', { signal: ended.signal })) as [Verdict];
      return verdict;
    } catch {
      this.stop();
      return 'hangs';
    } finally {
      clearTimeout(timer);
      child.off('exit', onExit);
    }
  }

  /** Ends the process and the tests that it runs. */
  stop(): void {
    const pid = this.#child?.pid;
    this.#child = undefined;
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }
}

async function startRunner(filters: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/mutation-runner.ts', ...filters], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // A group of its own, so that a worker that hangs ends too.
    detached: true,
  });
  await once(child, 'message');
  return child;
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
  const running = new Tests(tests);
  process.once('exit', () => running.stop());
  if (open.length > 0) await running.start();
  for (const [index, candidate] of open.entries()) {
    const startMs = Date.now();
    const outcome = await running.try(candidate);
    results.set(candidate.id, outcome);
    appendFileSync(resultsPath, `${JSON.stringify({ id: candidate.id, outcome })}\n`);
    const { file, mutation } = candidate;
    const seconds = ((Date.now() - startMs) / 1000).toFixed(1);
    const place = `${file}:${mutation.line}`;
    console.log(`${index + 1}/${open.length} ${outcome} ${place} ${mutation.replacement} (${seconds} s)`);
  }
  running.stop();
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
