import { readFile } from 'node:fs/promises';
import { toHex } from '../bytes/hex.ts';
import { EvidenceError, LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../tdx/collateral.ts';
import type { CollateralFacts, QuoteVerifier } from '../tdx/verify-quote.ts';
import { type Clock, systemClock } from '../time/clock.ts';
import type {
  CollateralSource,
  CollateralStatus,
  PlatformKind,
  UsableCollateral,
} from './collateral-source.ts';

/** How a {@link FileCollateralSource} works. */
export interface FileCollateralSourceOptions {
  /** Files made by `latchkey collateral fetch`, one set each. */
  readonly files: readonly string[];
  readonly verifier: Pick<QuoteVerifier, 'checkCollateral'>;
  /** How long sets may be used past their `nextUpdate`; default 0. */
  readonly graceMs?: number;
  readonly minimumTcbEvaluationDataNumber?: number;
  readonly clock?: Clock;
  readonly readText?: (path: string) => Promise<string>;
}

/** Files are looked at again this long after a set was missing or had run out, so that new ones are found. */
const REREAD_PAUSE_MS = 10_000;

/** Collateral from files, for machines that cannot reach Intel's service. New files are read when they are needed. */
export class FileCollateralSource implements CollateralSource {
  readonly graceMs: number;
  readonly #options: FileCollateralSourceOptions;
  readonly #clock: Clock;
  readonly #sets = new Map<string, CollateralDocuments>();
  readonly #asked = new Map<string, PlatformKind>();
  readonly #failures = new Map<string, string>();
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: FileCollateralSourceOptions) {
    this.graceMs = options.graceMs ?? 0;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Reads the files and says what is wrong with the first that cannot be used now; for the start, where a bad file
   * should not wait for the first request to be noticed.
   * @throws ProblemError COLLATERAL_FILE_INVALID.
   */
  async requireFiles(): Promise<void> {
    await this.#readFiles();
    const [failure] = this.#failures.values();
    if (failure !== undefined) throw new ProblemError('COLLATERAL_FILE_INVALID', failure);
  }

  async collateralFor(platform: PlatformKind): Promise<UsableCollateral> {
    this.#asked.set(keyOf(platform), platform);
    const usable = this.#usable(platform);
    if (usable !== undefined) return usable;
    const waitMs = this.#readAtMs + REREAD_PAUSE_MS - this.#clock.nowMs();
    if (waitMs <= 0 || waitMs > REREAD_PAUSE_MS) await this.#readFiles();
    const found = this.#usable(platform);
    if (found !== undefined) return found;
    const reasons =
      [...this.#failures.values()].join('; ') || 'no file is for this platform, or it has run out';
    throw new ProblemError(
      'COLLATERAL_UNAVAILABLE',
      `no usable collateral for ${keyOf(platform)}: ${reasons}`,
      {
        hint: 'latchkey collateral fetch makes such a file',
      },
    );
  }

  status(): readonly CollateralStatus[] {
    return [...this.#asked].map(([key, platform]) => {
      const facts = this.#facts(this.#sets.get(key), platform);
      return {
        fmspc: toHex(platform.fmspc).toUpperCase(),
        ca: platform.ca,
        state: facts?.state ?? 'refused',
        validUntilMs: facts?.validUntilMs,
        tcbEvaluationDataNumber: facts?.tcbEvaluationDataNumber,
        origin: facts === undefined ? undefined : 'file',
        refreshAtMs: undefined,
        lastFailure: [...this.#failures.values()].join('; ') || undefined,
      };
    });
  }

  async close(): Promise<void> {
    this.#sets.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #usable(platform: PlatformKind): UsableCollateral | undefined {
    const documents = this.#sets.get(keyOf(platform));
    const facts = this.#facts(documents, platform);
    if (documents === undefined || facts === undefined) return undefined;
    return { documents, state: facts.state, validUntilMs: facts.validUntilMs };
  }

  #facts(documents: CollateralDocuments | undefined, platform?: PlatformKind): CollateralFacts | undefined {
    if (documents === undefined) return undefined;
    try {
      return this.#check(documents, platform);
    } catch (error) {
      if (error instanceof EvidenceError) return undefined;
      throw error;
    }
  }

  #check(documents: CollateralDocuments, platform?: PlatformKind): CollateralFacts {
    return this.#options.verifier.checkCollateral(documents, {
      nowMs: this.#clock.nowMs(),
      collateralGraceMs: this.graceMs,
      minimumTcbEvaluationDataNumber: this.#options.minimumTcbEvaluationDataNumber ?? 0,
      ...(platform === undefined ? {} : { fmspc: platform.fmspc, ca: platform.ca }),
    });
  }

  /** Of two files for one kind of platform, the later in the list counts, unless one of its evaluation numbers is lower. */
  async #readFiles(): Promise<void> {
    this.#readAtMs = this.#clock.nowMs();
    this.#failures.clear();
    const read = this.#options.readText ?? ((path) => readFile(path, 'utf8'));
    for (const path of this.#options.files) {
      try {
        const documents = parseCollateralDocuments(JSON.parse(await read(path)));
        const facts = this.#check(documents);
        const known = this.#facts(this.#sets.get(keyOf(facts)));
        if (known === undefined || !hasLowerNumber(facts, known)) this.#sets.set(keyOf(facts), documents);
      } catch (error) {
        this.#failures.set(path, `${path}: ${reasonOf(error)}`);
      }
    }
  }
}

/** Whether TCB info or QE identity is of an earlier evaluation than in the other set. */
const hasLowerNumber = (set: CollateralFacts, other: CollateralFacts): boolean =>
  set.evaluationNumbers.tcbInfo < other.evaluationNumbers.tcbInfo ||
  set.evaluationNumbers.qeIdentity < other.evaluationNumbers.qeIdentity;

const keyOf = ({ fmspc, ca }: PlatformKind): string => `${toHex(fmspc).toUpperCase()}/${ca}`;

/** A file may be missing, have invalid JSON or hold an invalid set; any other error is a bug. */
function reasonOf(error: unknown): string {
  if (error instanceof LatchkeyError) return `${error.code}: ${error.message}`;
  if (error instanceof SyntaxError) return 'not JSON';
  if (error instanceof Error && 'code' in error) return error.message;
  throw error;
}
