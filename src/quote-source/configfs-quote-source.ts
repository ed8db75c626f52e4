import { dirname } from 'node:path';
import type { ReportData } from '../bytes/fixed-bytes.ts';
import { toHex } from '../bytes/hex.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import { LatchkeyError, ProblemError } from '../errors/latchkey-error.ts';
import { explainTsmFailure } from './configfs-failure.ts';
import type { QuoteSource } from './quote-source.ts';
import { MAX_PROVIDER_BYTES, receivedQuote } from './received-quote.ts';
import { type TsmFileSystem, tsmFileSystem } from './tsm-file-system.ts';

/** The folder in which Linux >= 6.7 makes attestation reports (Documentation/ABI/testing/configfs-tsm). */
export const CONFIGFS_TSM_DIRECTORY = '/sys/kernel/config/tsm/report';

/** The provider name of Intel TDX guests. */
const TDX_PROVIDER = 'tdx_guest';

/** How a {@link ConfigfsQuoteSource} works; everything has a production default. */
export interface ConfigfsQuoteSourceOptions {
  readonly directory?: string;
  readonly fileSystem?: TsmFileSystem;
  readonly random?: RandomSource;
  /** Longest wait for one quote, in milliseconds; default 30,000. */
  readonly timeoutMs?: number;
}

/** Makes quotes of this machine by configfs-tsm: one directory per request, removed afterwards. */
export class ConfigfsQuoteSource implements QuoteSource {
  readonly #directory: string;
  readonly #fileSystem: TsmFileSystem;
  readonly #random: RandomSource;
  readonly #timeoutMs: number;

  constructor(options: ConfigfsQuoteSourceOptions = {}) {
    this.#directory = options.directory ?? CONFIGFS_TSM_DIRECTORY;
    this.#fileSystem = options.fileSystem ?? tsmFileSystem;
    this.#random = options.random ?? systemRandom;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
  }

  /**
   * @throws ProblemError QUOTE_SOURCE_UNAVAILABLE saying what is missing: module, permission, or that this is no TD.
   * @throws ProblemError QUOTE_SOURCE_FAILED when the kernel's answer is unusable or late, or another process meddled.
   */
  async quote(reportData: ReportData): Promise<Uint8Array> {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const message = `no quote within ${this.#timeoutMs} ms; is the quote generation service of the host up?`;
        reject(new ProblemError('QUOTE_SOURCE_FAILED', message));
      }, this.#timeoutMs);
    });
    try {
      return await Promise.race([this.#request(reportData), deadline]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #request(reportData: ReportData): Promise<Uint8Array> {
    const entry = `${this.#directory}/latchkey-${toHex(this.#random(16))}`;
    await this.#step('mkdir', () => this.#fileSystem.mkdir(entry));
    try {
      return await this.#quoteIn(entry, reportData);
    } finally {
      // An entry that cannot be removed costs a little kernel memory, and must not hide the quote or the failure.
      await this.#fileSystem.rmdir(entry).catch(() => undefined);
    }
  }

  async #quoteIn(entry: string, reportData: ReportData): Promise<Uint8Array> {
    const provider = await this.#text(entry, 'provider');
    if (provider !== TDX_PROVIDER) {
      throw new ProblemError(
        'QUOTE_SOURCE_UNAVAILABLE',
        `this machine is no TD: its provider is ${provider}`,
        {
          field: 'provider',
          expected: TDX_PROVIDER,
          observed: provider,
          hint: 'run inside an Intel TDX virtual machine',
        },
      );
    }
    const before = await this.#generation(entry);
    await this.#step('inblob', () => this.#fileSystem.write(`${entry}/inblob`, reportData));
    const bytes = await this.#step('outblob', () => this.#fileSystem.read(`${entry}/outblob`));
    const after = await this.#generation(entry);
    // Every write to the entry counts; more than ours means that the report may be over another's data.
    if (after !== before + 1n) {
      throw new ProblemError('QUOTE_SOURCE_FAILED', 'another process wrote to our report entry', {
        field: 'generation',
        expected: `${before + 1n}`,
        observed: `${after}`,
      });
    }
    if (bytes.length > MAX_PROVIDER_BYTES) {
      throw new ProblemError('QUOTE_SOURCE_FAILED', `outblob has ${bytes.length} bytes`, {
        field: 'outblob',
      });
    }
    return receivedQuote(bytes, reportData, 'configfs-tsm');
  }

  async #generation(entry: string): Promise<bigint> {
    const text = await this.#text(entry, 'generation');
    if (/^\d{1,20}$/.test(text)) return BigInt(text);
    throw new ProblemError('QUOTE_SOURCE_FAILED', 'generation is not a number', { field: 'generation' });
  }

  async #text(entry: string, attribute: string): Promise<string> {
    const bytes = await this.#step(attribute, () => this.#fileSystem.read(`${entry}/${attribute}`));
    return new TextDecoder().decode(bytes).trim();
  }

  async #step<Result>(name: string, run: () => Promise<Result>): Promise<Result> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof LatchkeyError) throw error;
      const [directory, subsystem, configfs] = await Promise.all(
        [this.#directory, dirname(this.#directory), dirname(dirname(this.#directory))].map((path) =>
          this.#fileSystem.exists(path),
        ),
      );
      throw explainTsmFailure(name, this.#directory, error, {
        directory: directory === true,
        subsystem: subsystem === true,
        configfs: configfs === true,
      });
    }
  }
}
