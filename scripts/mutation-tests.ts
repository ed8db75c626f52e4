import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Candidate } from './mutation-candidates.ts';
import { mutate } from './mutation-points.ts';
import { placeOf, recordingReach } from './mutation-reach.ts';
import type { Change, Plan, Request, Verdict } from './mutation-runner.ts';

/** All tests of a room without a change, on a busy machine. */
const LONGEST_PLAN_MS = 1_200_000;

/** What a run showed: the test file that noticed a change, a run that did not end, or nothing. */
export type Outcome = { readonly noticedBy: string } | 'endless' | 'survived';

const absolute = (file: string): string => join(process.cwd(), file);
const changeOf = ({ file, text, mutation }: Candidate): Change => ({
  file: absolute(file),
  text: mutate(text, mutation),
});

/** The tests of a room, in a process that is replaced when a change makes it hang. */
export class RoomTests {
  readonly #filters: readonly string[];
  #child: ChildProcess | undefined;
  #plan: Plan | undefined;
  #isControlled = true;

  constructor(filters: readonly string[]) {
    this.#filters = filters;
  }

  /**
   * Runs all tests without a change, and learns which of them reach which place.
   * @throws Error when they fail: then they show nothing.
   */
  async plan(files: readonly string[]): Promise<void> {
    const sources = files.map((file) => ({
      file: absolute(file),
      text: recordingReach(absolute(file), readFileSync(file, 'utf8')),
    }));
    const verdict = await this.#ask({ kind: 'plan', sources }, LONGEST_PLAN_MS);
    if (verdict === 'endless' || verdict.plan === undefined)
      throw new Error(
        `the tests fail without any mutation, so they show nothing: ${JSON.stringify(verdict)}`,
      );
    this.#plan = verdict.plan;
  }

  /** Runs the tests that reach the mutation; `alone` in a process that saw no other mutation. */
  async try(candidate: Candidate, alone = false): Promise<Outcome> {
    if (this.#plan === undefined) throw new TypeError('plan comes first');
    const { durations, reached } = this.#plan;
    const place = placeOf(absolute(candidate.file), candidate.mutation);
    const tests = reached[place] ?? [];
    const usualMs = tests.reduce((sum, test) => sum + 5_000 + 10 * (durations[test] ?? 0), 0);
    const request = { kind: 'try', change: changeOf(candidate), place, alone } as const;
    return this.#outcomeOf(candidate, await this.#ask(request, 60_000 + usualMs));
  }

  /** Runs one test file, which noticed the mutation before. */
  async tryOnly(candidate: Candidate, test: string): Promise<Outcome> {
    const request = { kind: 'only', change: changeOf(candidate), test: absolute(test) } as const;
    return this.#outcomeOf(candidate, await this.#ask(request, 120_000));
  }

  /** Whether the test files that failed since the last control pass without a change, in the same process. */
  async control(): Promise<boolean> {
    const wasKept = this.#isControlled;
    this.#isControlled = true;
    if (!wasKept) return false;
    const verdict = await this.#ask({ kind: 'control' }, LONGEST_PLAN_MS);
    return verdict !== 'endless' && verdict.failed === undefined && verdict.fault === undefined;
  }

  #outcomeOf({ file, mutation }: Candidate, verdict: Verdict | 'endless'): Outcome {
    if (verdict === 'endless') return 'endless';
    if (verdict.fault !== undefined) throw new Error(`${file}:${mutation.line}: ${verdict.fault}`);
    if (verdict.failed === undefined) return 'survived';
    return { noticedBy: relative(process.cwd(), verdict.failed) };
  }

  async #ask(request: Request, hangsAfterMs: number): Promise<Verdict | 'endless'> {
    if (this.#child === undefined) {
      this.#child = await startRunner(this.#filters);
      if (this.#plan !== undefined) await send(this.#child, { kind: 'adopt', plan: this.#plan }, 60_000);
    }
    const verdict = await send(this.#child, request, hangsAfterMs);
    if (verdict === 'endless') {
      this.#isControlled = false;
      this.stop();
    }
    return verdict;
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

async function send(
  child: ChildProcess,
  request: Request,
  hangsAfterMs: number,
): Promise<Verdict | 'endless'> {
  child.send(request);
  const ended = new AbortController();
  const timer = setTimeout(() => ended.abort(), hangsAfterMs);
  const onExit = (): void => ended.abort();
  child.once('exit', onExit);
  try {
    // The runner sends nothing else.
    const [verdict] = (await once(child, 'message', { signal: ended.signal })) as [Verdict];
    return verdict;
  } catch {
    return 'endless';
  } finally {
    clearTimeout(timer);
    child.off('exit', onExit);
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
