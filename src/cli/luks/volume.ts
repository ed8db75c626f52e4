import { mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RandomSource, systemRandom } from '../../crypto/random.ts';
import { EvidenceError, ProblemError, RefusalError } from '../../errors/latchkey-error.ts';
import type { Store } from '../../store/api/store-api.ts';
import { runCryptsetup } from './cryptsetup.ts';

/** Holds `NAME/header`, what cryptsetup formatted, and `NAME/passphrase`, 32 bytes. */
const NAMESPACE = 'latchkey/luks';
const PASSPHRASE_BYTES = 32;
/** Two copies of 16 KiB of metadata, then 256 KiB for the one key slot; see {@link FORMAT}. */
const HEADER_BYTES = (2 * 16 + 256) * 1024;

/** A volume and where it is. */
export interface LuksVolume {
  /** Name of the volume in the store, and of the mapping under /dev/mapper. */
  readonly name: string;
  /** Path of the block device; a regular file works for formatting and for a test of the passphrase. */
  readonly device: string;
  /** A folder in memory for the header while cryptsetup uses it. */
  readonly memoryFolder: string;
  /** Folders in which cryptsetup is looked for, separated by colons; default: those of the system. */
  readonly searchPath?: string;
}

const headerName = (volume: string): string => `${volume}/header`;
const passphraseName = (volume: string): string => `${volume}/passphrase`;

/**
 * Formats a LUKS2 header for a device and keeps it in the sealed store, with a random passphrase. The device is
 * neither read nor written: the header is a file of its own, and the data begin at the first byte of the device.
 * @throws RefusalError LUKS_VOLUME_EXISTS: a header is never replaced, because the data would be lost with it.
 * @throws ProblemError LUKS_FOLDER_NOT_IN_MEMORY, LUKS_CRYPTSETUP_FAILED.
 */
export async function bindVolume(
  store: Store,
  { name, device, memoryFolder, searchPath }: LuksVolume,
  random: RandomSource = systemRandom,
): Promise<void> {
  const records = await store.namespace(NAMESPACE);
  if ((await records.get(headerName(name))) !== undefined) throw exists(name);
  const passphrase = random(PASSPHRASE_BYTES);
  try {
    const header = await withMemoryFile(memoryFolder, new Uint8Array(HEADER_BYTES), async (path) => {
      await runCryptsetup([...FORMAT, '--header', path, device], passphrase, searchPath);
      return new Uint8Array(await readFile(path));
    });
    await store.batch([
      { kind: 'expect', namespace: NAMESPACE, name: headerName(name), value: undefined },
      { kind: 'put', namespace: NAMESPACE, name: headerName(name), value: header },
      { kind: 'put', namespace: NAMESPACE, name: passphraseName(name), value: passphrase },
    ]);
  } catch (error) {
    // Another process was faster.
    if (error instanceof EvidenceError && error.code === 'STORE_CONFLICT') throw exists(name);
    throw error;
  } finally {
    passphrase.fill(0);
  }
}

/**
 * Gives cryptsetup the header from the store, detached, so that it maps the device as `/dev/mapper/NAME`. The header
 * that the device itself may carry is never read: the host writes it.
 * @param options.testOnly checks header and passphrase without mapping anything; needs no root.
 * @throws EvidenceError LUKS_VOLUME_MISSING.
 * @throws ProblemError LUKS_FOLDER_NOT_IN_MEMORY, LUKS_CRYPTSETUP_FAILED.
 */
export async function openVolume(
  store: Store,
  { name, device, memoryFolder, searchPath }: LuksVolume,
  { testOnly }: { readonly testOnly: boolean },
): Promise<void> {
  const records = store.hasNamespace(NAMESPACE) ? await store.namespace(NAMESPACE) : undefined;
  const header = await records?.get(headerName(name));
  const passphrase = await records?.get(passphraseName(name));
  if (header === undefined || passphrase === undefined) {
    throw new EvidenceError('LUKS_VOLUME_MISSING', `the store holds no volume ${name}`, {
      field: 'name',
      hint: '`latchkey luks bind` makes one',
    });
  }
  const target = testOnly ? ['--test-passphrase', device] : [device, name];
  try {
    await withMemoryFile(memoryFolder, header, (path) =>
      runCryptsetup([...OPEN, '--header', path, ...target], passphrase, searchPath),
    );
  } finally {
    passphrase.fill(0);
  }
}

/**
 * A passphrase of 256 random bits needs no slow derivation. One key slot, so that the header is small. Locks are for
 * headers that processes share; this one is a private copy.
 */
const FORMAT = [
  ...['luksFormat', '--batch-mode', '--disable-locks', '--type', 'luks2', '--key-file', '-'],
  ...['--cipher', 'aes-xts-plain64', '--key-size', '512', '--hash', 'sha256'],
  ...['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'],
  ...['--luks2-metadata-size', '16k', '--luks2-keyslots-size', '256k', '--offset', '0'],
];
const OPEN = ['open', '--disable-locks', '--type', 'luks2', '--key-file', '-'];

/** Magic numbers of file systems that live in memory, tmpfs and ramfs (statfs(2)). */
const MEMORY_FILE_SYSTEMS: readonly number[] = [0x0102_1994, 0x8584_58f6];

/** Runs something with a private file in memory, and removes the file. */
async function withMemoryFile<T>(
  folder: string,
  content: Uint8Array,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const { type } = await statfs(folder).catch((cause: unknown) => {
    throw notInMemory(folder, 'it cannot be read', cause);
  });
  if (!MEMORY_FILE_SYSTEMS.includes(type)) throw notInMemory(folder, 'it is on another file system');
  // Mode 0700.
  const own = await mkdtemp(join(folder, 'latchkey-luks-'));
  const path = join(own, 'header');
  try {
    await writeFile(path, content, { mode: 0o600, flag: 'wx' });
    return await use(path);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

const notInMemory = (folder: string, detail: string, cause?: unknown): ProblemError =>
  new ProblemError('LUKS_FOLDER_NOT_IN_MEMORY', `${folder} is no folder in memory: ${detail}`, {
    field: 'memory-folder',
    expected: 'a folder on tmpfs, which the host cannot change',
    cause,
  });

const exists = (name: string): RefusalError =>
  new RefusalError('LUKS_VOLUME_EXISTS', `the store holds the header of a volume ${name} already`, {
    field: 'name',
    hint: 'choose another name; without its header the data of a volume are lost',
  });
