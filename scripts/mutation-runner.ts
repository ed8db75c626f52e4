// One Vitest that runs the tests of a room again and again, each time with one source file replaced. `mutate.ts` starts it
// as a process of its own, because a mutation may make a loop that does not end, and talks to it by messages.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVitest, type TestSpecification, type Vitest } from 'vitest/node';
import { REACH_LOG } from './mutation-reach.ts';
import { KeptPool } from './mutation-worker.ts';

/** A source file and its text. */
export interface Change {
  /** Absolute. */
  readonly file: string;
  readonly text: string;
}

/** Which test files to run for a mutation, as a run of all tests showed. */
export interface Plan {
  /** Milliseconds of each test file. */
  readonly durations: Readonly<Record<string, number>>;
  /** Test files that reach the place of a mutation, by `placeOf`. */
  readonly reached: Readonly<Record<string, readonly string[]>>;
}

/** What the runner is asked to do. */
export type Request =
  /** Runs all tests with sources that record what they reach. */
  | { readonly kind: 'plan'; readonly sources: readonly Change[] }
  | { readonly kind: 'adopt'; readonly plan: Plan }
  /** Runs tests with a change; `alone` in a process that saw no other change. */
  | { readonly kind: 'try'; readonly change: Change; readonly place: string; readonly alone: boolean }
  /** Runs one test file with a change. */
  | { readonly kind: 'only'; readonly change: Change; readonly test: string }
  /** Runs the test files that failed since the last control, without a change: they show that the process is sound. */
  | { readonly kind: 'control' };

/** What the tests said. */
export interface Verdict {
  /** Absolute path of the test file that failed first. */
  readonly failed: string | undefined;
  readonly files: number;
  /** No test failed; an error came from outside of them, perhaps one that an earlier change left behind. */
  readonly isOutside?: boolean;
  readonly plan?: Plan;
  /** Why the run says nothing. */
  readonly fault?: string;
}

/** A test file that takes this much more than ten times what it takes without a change hangs, in milliseconds. */
const HANGS_MS = 20_000;

/** The replaced files, and how often the tests loaded one of them. */
const changes = { texts: new Map<string, string>(), loads: 0 };
const pool = new KeptPool();

const startVitest = (): Promise<Vitest> =>
  createVitest(
    'test',
    {
      config: false,
      watch: false,
      include: ['test/**/*.test.ts'],
      globalSetup: './test/support/build-decoder.ts',
      pool,
      maxWorkers: 1,
      fileParallelism: false,
      runner: './scripts/mutation-test-runner.ts',
      testTimeout: 30_000,
      hookTimeout: 30_000,
      reporters: [{}],
    },
    {
      logLevel: 'silent',
      plugins: [
        {
          name: 'mutation',
          enforce: 'pre',
          load(id) {
            const text = changes.texts.get(id);
            if (text === undefined) return null;
            changes.loads += 1;
            return text;
          },
        },
      ],
    },
  );

/** Runs tests of a room against changes of its files. */
class MutationRunner {
  readonly #vitest: Vitest;
  readonly #tests: readonly TestSpecification[];
  #plan: Plan = { durations: {}, reached: {} };
  /** Milliseconds of the last run of each test file. */
  readonly #durations = new Map<string, number>();
  /** How often a test file was the first to notice a change of a source file. */
  readonly #noticed = new Map<string, number>();
  /** Test files that failed since the last control. */
  readonly #toControl = new Set<string>();

  constructor(vitest: Vitest, tests: readonly TestSpecification[]) {
    this.#vitest = vitest;
    this.#tests = tests;
  }

  async answer(request: Request): Promise<Verdict> {
    switch (request.kind) {
      case 'plan':
        return this.#makePlan(request.sources);
      case 'adopt':
        this.#plan = request.plan;
        return { failed: undefined, files: 0 };
      case 'try':
        return this.#try(request.change, request.place, request.alone);
      case 'only': {
        const tests = this.#tests.filter(({ moduleId }) => moduleId === request.test);
        return this.#with([request.change], () => this.#run(tests));
      }
      case 'control': {
        const tests = this.#tests.filter(({ moduleId }) => this.#toControl.has(moduleId));
        this.#toControl.clear();
        return this.#run(tests);
      }
    }
  }

  async #makePlan(sources: readonly Change[]): Promise<Verdict> {
    const folder = mkdtempSync(join(tmpdir(), 'mutate-'));
    const reachLog = join(folder, 'reach.tsv');
    process.env[REACH_LOG] = reachLog;
    const verdict = await this.#with(sources, () => this.#run(this.#tests));
    await pool.restart();
    const lines = existsSync(reachLog) ? readFileSync(reachLog, 'utf8').split('\n') : [];
    rmSync(folder, { recursive: true });
    if (verdict.failed !== undefined || verdict.fault !== undefined) return verdict;
    const durations = Object.fromEntries(this.#durations);
    const reached: Record<string, string[]> = {};
    for (const line of new Set(lines)) {
      const [place = '', test = ''] = line.split('\t');
      if (place !== '') reached[place] = [...(reached[place] ?? []), test];
    }
    this.#plan = { durations, reached };
    return { ...verdict, plan: this.#plan };
  }

  /** The tests that reach the place, the likely ones first, until one fails. */
  async #try(change: Change, place: string, alone: boolean): Promise<Verdict> {
    if (alone) await pool.restart();
    const { durations, reached } = this.#plan;
    const reaching = new Set(reached[place]);
    const rank = ({ moduleId }: TestSpecification): number =>
      this.#noticed.get(`${change.file} ${moduleId}`) ?? 0;
    const cost = ({ moduleId }: TestSpecification): number => durations[moduleId] ?? 0;
    const chosen = this.#tests
      .filter(({ moduleId }) => reaching.has(moduleId))
      .sort((a, b) => rank(b) - rank(a) || cost(a) - cost(b));
    const verdict = await this.#with([change], () => this.#run(chosen));
    if (verdict.isOutside && !alone) return this.#try(change, place, true);
    if (verdict.failed !== undefined) {
      const name = `${change.file} ${verdict.failed}`;
      this.#noticed.set(name, (this.#noticed.get(name) ?? 0) + 1);
      this.#toControl.add(verdict.failed);
    }
    return verdict;
  }

  /** Runs with changed sources, and takes the changes back. */
  async #with(sources: readonly Change[], run: () => Promise<Verdict>): Promise<Verdict> {
    this.#invalidate(sources);
    changes.texts = new Map(sources.map(({ file, text }) => [file, text]));
    changes.loads = 0;
    try {
      const verdict = await run();
      if (verdict.files > 0 && verdict.failed === undefined && changes.loads === 0)
        return { ...verdict, fault: 'the tests did not load the changed file' };
      return verdict;
    } finally {
      changes.texts = new Map();
      this.#invalidate(sources);
    }
  }

  #invalidate(sources: readonly Change[]): void {
    for (const { file } of sources) {
      this.#vitest.invalidateFile(file);
      // The next run tells the test process.
      this.#vitest.watcher.invalidates.add(file);
    }
  }

  /** Runs test files one after the other, until one fails. The process ends when one takes far longer than without a change. */
  async #run(tests: readonly TestSpecification[]): Promise<Verdict> {
    for (const [index, test] of tests.entries()) {
      const planned = this.#plan.durations[test.moduleId];
      const timer =
        planned === undefined ? undefined : setTimeout(() => process.exit(), HANGS_MS + 10 * planned);
      // Else the outcomes of earlier runs would be among those of this one.
      this.#vitest.state.filesMap.clear();
      this.#vitest.state.idMap.clear();
      const { testModules, unhandledErrors } = await this.#vitest.runTestSpecifications([test]);
      clearTimeout(timer);
      const isFailed = testModules.some((module) => !module.ok());
      this.#durations.set(test.moduleId, testModules[0]?.diagnostic().duration ?? 0);
      if (isFailed || unhandledErrors.length > 0)
        return { failed: test.moduleId, files: index + 1, isOutside: !isFailed };
    }
    return { failed: undefined, files: tests.length };
  }
}

const vitest = await startVitest();
const tests = await vitest.globTestSpecifications(process.argv.slice(2));
const runner = new MutationRunner(vitest, tests);
const answer = (verdict: Verdict): unknown => process.send?.(verdict);
process.on('message', (request: Request) => {
  runner
    .answer(request)
    .then(answer, (error: unknown) => answer({ failed: undefined, files: 0, fault: String(error) }));
});
process.once('disconnect', () => process.exit());
answer({ failed: undefined, files: tests.length });
