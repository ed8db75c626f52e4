// One Vitest that runs the tests of a room again and again, each time with one source file replaced. `mutate.ts` starts it
// as a process of its own, because a mutation may make a loop that does not end, and talks to it by messages.
import { createVitest, type TestModule, type TestSpecification, type Vitest } from 'vitest/node';

/** A source file and its text; without both, the sources as they are. */
export interface Change {
  /** Absolute. */
  readonly file: string;
  readonly text: string;
}

/** What the tests said. */
export interface Verdict {
  /** Absolute path of the test file that failed first. */
  readonly failed: string | undefined;
  readonly files: number;
  /** Why the run says nothing. */
  readonly fault?: string;
}

/** The replaced file, and how often the tests loaded it. */
const change = { file: '', text: '', loads: 0 };

const startVitest = (): Promise<Vitest> =>
  createVitest(
    'test',
    {
      config: false,
      watch: false,
      include: ['test/**/*.test.ts'],
      globalSetup: './test/support/build-decoder.ts',
      pool: 'forks',
      // One process for all files of a run: most of the time of a run was to start one a file.
      isolate: false,
      maxWorkers: 1,
      fileParallelism: false,
      bail: 1,
      testTimeout: 30_000,
      hookTimeout: 30_000,
      reporters: [{}],
      sequence: { sequencer: AsGiven },
    },
    {
      logLevel: 'silent',
      plugins: [
        {
          name: 'mutation',
          enforce: 'pre',
          load(id) {
            if (id !== change.file) return null;
            change.loads += 1;
            return change.text;
          },
        },
      ],
    },
  );

/** Runs the files in the order in which they are given. */
class AsGiven {
  shard = async (files: TestSpecification[]): Promise<TestSpecification[]> => files;
  sort = async (files: TestSpecification[]): Promise<TestSpecification[]> => files;
}

/** Runs tests of a room against changes of its files. */
class MutationRunner {
  readonly #vitest: Vitest;
  readonly #tests: readonly TestSpecification[];
  /** Milliseconds of each test file without a change. */
  readonly #durations = new Map<string, number>();
  /** How often a test file was the first to notice a change of a source file. */
  readonly #noticed = new Map<string, number>();

  constructor(vitest: Vitest, tests: readonly TestSpecification[]) {
    this.#vitest = vitest;
    this.#tests = tests;
  }

  /** All tests, with the sources as they are. */
  async baseline(): Promise<Verdict> {
    const verdict = await this.#run(this.#tests);
    for (const file of this.#vitest.state.getFiles())
      this.#durations.set(file.filepath, file.result?.duration ?? 0);
    return verdict;
  }

  /** The tests that load the file, the likely ones first, until one fails. */
  async try({ file, text }: Change): Promise<Verdict> {
    Object.assign(change, { file, text, loads: 0 });
    this.#vitest.invalidateFile(file);
    const importers = this.#importersOf(file);
    const rank = ({ moduleId }: TestSpecification): number => this.#noticed.get(`${file} ${moduleId}`) ?? 0;
    const cost = ({ moduleId }: TestSpecification): number => this.#durations.get(moduleId) ?? 0;
    const chosen = this.#tests
      .filter(({ moduleId }) => importers.has(moduleId))
      .sort((a, b) => rank(b) - rank(a) || cost(a) - cost(b));
    try {
      const verdict = await this.#run(chosen);
      if (verdict.failed !== undefined) {
        const name = `${file} ${verdict.failed}`;
        this.#noticed.set(name, (this.#noticed.get(name) ?? 0) + 1);
      } else if (chosen.length > 0 && change.loads === 0) {
        return { ...verdict, fault: 'the tests did not load the changed file' };
      }
      return verdict;
    } finally {
      this.#vitest.invalidateFile(file);
      change.file = '';
    }
  }

  async #run(tests: readonly TestSpecification[]): Promise<Verdict> {
    if (tests.length === 0) return { failed: undefined, files: 0 };
    const { testModules, unhandledErrors } = await this.#vitest.runTestSpecifications([...tests]);
    const failed = testModules.find((module: TestModule) => !module.ok() && module.state() !== 'skipped');
    const outside = unhandledErrors.length > 0 ? testModules.at(-1) : undefined;
    return { failed: (failed ?? outside)?.moduleId, files: testModules.length };
  }

  /** Files that import a file, through others too, as the last runs saw it. */
  #importersOf(file: string): ReadonlySet<string> {
    const found = new Set<string>();
    for (const environment of Object.values(this.#vitest.vite.environments)) {
      const open = [...(environment.moduleGraph.getModulesByFile(file) ?? [])];
      for (let module = open.pop(); module !== undefined; module = open.pop()) {
        if (module.file === null || found.has(module.file)) continue;
        found.add(module.file);
        open.push(...module.importers);
      }
    }
    return found;
  }
}

const vitest = await startVitest();
const tests = await vitest.globTestSpecifications(process.argv.slice(2));
const runner = new MutationRunner(vitest, tests);
const answer = (verdict: Verdict): unknown => process.send?.(verdict);
process.on('message', (message: Change | 'baseline') => {
  const running = message === 'baseline' ? runner.baseline() : runner.try(message);
  running.then(answer, (error: unknown) => answer({ failed: undefined, files: 0, fault: String(error) }));
});
process.once('disconnect', () => process.exit());
answer({ failed: undefined, files: tests.length });
