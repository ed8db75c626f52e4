import { ClassicLevel } from 'classic-level';
import { open } from 'lmdb';
import { utf8 } from '../src/bytes/concat.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { XChaCha20Key } from '../src/crypto/xchacha20-key.ts';
import { XCHACHA_NONCE_BYTES, XCHACHA_TAG_BYTES } from '../src/crypto/xchacha20-poly1305.ts';

/** A key-value engine under the stopwatch: encrypted, and durable when `put` resolves. */
export interface Engine {
  readonly name: string;
  put(name: string, value: Uint8Array): Promise<unknown>;
  /** Many records at once, where single puts are not grouped: to fill the engine, which is not measured. */
  putAll?(names: readonly string[], value: Uint8Array): Promise<unknown>;
  /** Synchronous where the engine is. */
  get(name: string): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  close(): Promise<void>;
}

/** The cipher that the sealed store uses, around an engine that has none; names stay readable, in its favour. */
function sealer(): {
  readonly seal: (name: string, value: Uint8Array) => Buffer;
  readonly open: (name: string, sealed: Uint8Array | undefined) => Uint8Array | undefined;
} {
  const key = new XChaCha20Key(systemRandom(32));
  return {
    seal(name, value) {
      const sealed = Buffer.allocUnsafe(XCHACHA_NONCE_BYTES + value.length + XCHACHA_TAG_BYTES);
      key.sealInto(sealed, 0, systemRandom(XCHACHA_NONCE_BYTES), utf8(name), value);
      return sealed;
    },
    open: (name, sealed) => (sealed === undefined ? undefined : key.open(sealed, utf8(name))),
  };
}

/** LMDB as lmdb-js opens it by default: a put resolves after its commit was flushed. */
export async function openLmdb(folder: string): Promise<Engine> {
  const cipher = sealer();
  const database = open<Buffer, string>({ path: folder, encoding: 'binary', compression: false });
  return {
    name: 'lmdb',
    put: (name, value) => database.put(name, cipher.seal(name, value)),
    get: (name) => cipher.open(name, database.get(name)),
    close: () => database.close(),
  };
}

/** LevelDB with `sync` on every write; it groups concurrent writers itself. */
export async function openLevel(folder: string): Promise<Engine> {
  const cipher = sealer();
  const database = new ClassicLevel<string, Uint8Array>(folder, {
    valueEncoding: 'view',
    compression: false,
  });
  await database.open();
  return {
    name: 'classic-level',
    put: (name, value) => database.put(name, cipher.seal(name, value), { sync: true }),
    putAll: (names, value) =>
      database.batch(
        names.map((name) => ({ type: 'put', key: name, value: cipher.seal(name, value) })),
        { sync: true },
      ),
    get: async (name) => cipher.open(name, await database.get(name)),
    close: () => database.close(),
  };
}
