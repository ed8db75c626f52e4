import { dirname } from 'node:path';
import { utf8 } from '../bytes/concat.ts';
import { toHex } from '../bytes/hex.ts';
import { type RandomSource, systemRandom } from '../crypto/random.ts';
import type { FileHandle, FileSystem } from '../disk/file-system.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { type CollateralDocuments, parseCollateralDocuments } from '../tdx/collateral.ts';
import type { PlatformKind } from './platform-kind.ts';

/** More than the limits of all documents together; this cache never writes a larger file. */
const MAX_FILE_BYTES = 4_000_000;

/**
 * Standard collateral sets in files, so that a restart during an outage finds them. The disk belongs to the host: a set
 * that is read is only a proposal, which the source verifies like an answer from the network. Only the name of the file
 * says that a set is a standard one, so the host can put an early set in its place.
 */
export class DiskCache {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #random: RandomSource;

  /** @param directory absolute; it is made when something is saved, in a folder that is there. */
  constructor(fileSystem: FileSystem, directory: string, random: RandomSource = systemRandom) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#random = random;
  }

  /** The file of a kind of platform. */
  pathOf({ fmspc, ca }: PlatformKind): string {
    return `${this.#directory}/collateral-${toHex(fmspc)}-${ca}-standard.json`;
  }

  /** The stored set, unverified; `undefined` when there is none or it cannot be read. Never throws for the disk. */
  async load(platform: PlatformKind): Promise<CollateralDocuments | undefined> {
    try {
      const path = this.pathOf(platform);
      const found = await this.#fileSystem.stat(path);
      if (found?.kind !== 'file' || found.size > MAX_FILE_BYTES) return undefined;
      const file = await this.#fileSystem.open(path, 'read');
      const text = await withHandle(file, async () => new TextDecoder().decode(readAll(file, found.size)));
      return parseCollateralDocuments(JSON.parse(text));
    } catch (error) {
      if (isOfTheDisk(error)) return undefined;
      throw error;
    }
  }

  /** Replaces the file atomically. @returns the reason when it fails: a lost cache is not an error. */
  async save(platform: PlatformKind, documents: CollateralDocuments): Promise<string | undefined> {
    const path = this.pathOf(platform);
    const temporary = `${path}.${toHex(this.#random(8))}.tmp`;
    try {
      await this.#makeDirectory();
      const file = await this.#fileSystem.open(temporary, 'create');
      await withHandle(file, async () => {
        await file.write([utf8(JSON.stringify(documents))], 0);
        await file.sync();
      });
      await this.#fileSystem.rename(temporary, path);
      await this.#fileSystem.syncDirectory(this.#directory);
      return undefined;
    } catch (error) {
      await this.#fileSystem.unlink(temporary).catch(() => undefined);
      if (isOfTheDisk(error)) return error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  async #makeDirectory(): Promise<void> {
    if ((await this.#fileSystem.stat(this.#directory)) !== undefined) return;
    await this.#fileSystem.mkdir(this.#directory);
    await this.#fileSystem.syncDirectory(dirname(this.#directory));
  }
}

async function withHandle<Result>(file: FileHandle, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } finally {
    await file.close();
  }
}

/** Up to `size` bytes; the file may have changed since. */
function readAll(file: FileHandle, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let length = 0;
  while (length < size) {
    const read = file.readSync(bytes.subarray(length), length);
    if (read === 0) break;
    length += read;
  }
  return bytes.subarray(0, length);
}

/** A system error, invalid JSON, or an invalid collateral set; any other error is a bug. */
const isOfTheDisk = (error: unknown): boolean =>
  error instanceof LatchkeyError ||
  error instanceof SyntaxError ||
  (error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z]/.test(error.code));
