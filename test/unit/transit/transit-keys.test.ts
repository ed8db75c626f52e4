import { describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { toBase64, tryFromBase64 } from '../../../src/bytes/base64.ts';
import { utf8 } from '../../../src/bytes/concat.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { TransitKeys } from '../../../src/transit/transit-keys.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { SimulatedDisk } from '../../support/simulated-disk.ts';
import { storeOptions } from '../../support/store-on-disk.ts';

const NAMESPACE = 'latchkey/transit-keys';
const NONE = new Uint8Array(0);
const secret = utf8('the root key of a vault');
/** A broken generator: all keys and nonces are equal, so only the associated data keep two ciphertexts apart. */
const sameBytes = (length: number) => new Uint8Array(length).fill(7);

const codeOf = async (task: Promise<unknown>): Promise<string> => {
  try {
    await task;
    return 'done';
  } catch (error) {
    if (error instanceof LatchkeyError) return error.code;
    throw error;
  }
};
const partsOf = (ciphertext: string): [string, Uint8Array] => {
  const [, version = '', encoded = ''] = ciphertext.split(':');
  return [version, tryFromBase64(encoded) ?? NONE];
};

describe('a ciphertext', () => {
  it('opens under its name, and its text names version 1', async () => {
    const keys = new TransitKeys(new MemoryStore(), systemRandom);
    for (const plaintext of [NONE, Uint8Array.of(0), secret, systemRandom(1024 * 1024)]) {
      const { ciphertext, version } = await keys.encrypt('unseal', plaintext, NONE);
      expect(version).toBe(1);
      expect(ciphertext).toMatch(/^vault:v1:[A-Za-z0-9+/]+=*$/);
      // Comparing a mebibyte with toEqual takes seconds.
      expect(Buffer.compare(await keys.decrypt('unseal', ciphertext, NONE), plaintext)).toBe(0);
    }
  });

  it('is another one each time', async () => {
    const keys = new TransitKeys(new MemoryStore(), systemRandom);
    const texts = new Set<string>();
    for (let index = 0; index < 100; index++)
      texts.add((await keys.encrypt('unseal', secret, NONE)).ciphertext);
    expect(texts.size).toBe(100);
  });

  it('does not open with any bit altered, cut or longer', async () => {
    const keys = new TransitKeys(new MemoryStore(), systemRandom);
    const [version, sealed] = partsOf((await keys.encrypt('unseal', secret, NONE)).ciphertext);
    const tried: Uint8Array[] = [Uint8Array.of(...sealed, 0), NONE];
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const altered = Uint8Array.from(sealed);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      tried.push(altered);
    }
    for (let length = 1; length < sealed.length; length++) tried.push(sealed.subarray(0, length));
    const codes = new Set<string>();
    for (const bytes of tried)
      codes.add(await codeOf(keys.decrypt('unseal', `vault:${version}:${toBase64(bytes)}`, NONE)));
    expect([...codes]).toEqual(['TRANSIT_CIPHERTEXT_INVALID']);
  });

  it('does not open under another name or version, even if their keys were equal', async () => {
    const keys = new TransitKeys(new MemoryStore(), sameBytes);
    const { ciphertext } = await keys.encrypt('unseal', secret, NONE);
    await keys.encrypt('other', secret, NONE);
    await keys.rotate('unseal');
    const codes = [
      await codeOf(keys.decrypt('other', ciphertext, NONE)),
      await codeOf(keys.decrypt('unseal', ciphertext.replace(':v1:', ':v2:'), NONE)),
      await codeOf(keys.decrypt('unseal', ciphertext.replace(':v1:', ':v3:'), NONE)),
      await codeOf(keys.decrypt('nobody', ciphertext, NONE)),
    ];
    expect(codes).toEqual(Array.from({ length: 4 }, () => 'TRANSIT_CIPHERTEXT_INVALID'));
    expect(await keys.decrypt('unseal', ciphertext, NONE)).toEqual(secret);
  });

  it('does not open with other associated data, nor with a part of its name among them', async () => {
    const keys = new TransitKeys(new MemoryStore(), sameBytes);
    const { ciphertext } = await keys.encrypt('ab', secret, utf8('c'));
    await keys.encrypt('a', secret, NONE);
    for (const added of [NONE, utf8('d'), utf8('cc')])
      expect(await codeOf(keys.decrypt('ab', ciphertext, added))).toBe('TRANSIT_CIPHERTEXT_INVALID');
    expect(await codeOf(keys.decrypt('a', ciphertext, utf8('bc')))).toBe('TRANSIT_CIPHERTEXT_INVALID');
    expect(await keys.decrypt('ab', ciphertext, utf8('c'))).toEqual(secret);
  });

  it('has one text only', async () => {
    const keys = new TransitKeys(new MemoryStore(), systemRandom);
    const { ciphertext } = await keys.encrypt('unseal', secret, NONE);
    const [, , encoded = ''] = ciphertext.split(':');
    const others = [
      '',
      encoded,
      `vault:v01:${encoded}`,
      `vault:v1:${encoded}\n`,
      `vault:v1:${encoded}:`,
      `vault:v-1:${encoded}`,
      `vault:v0:${encoded}`,
      `vault:v1e0:${encoded}`,
      `vault:v1000001:${encoded}`,
      `Vault:v1:${encoded}`,
      `vault:v1: ${encoded}`,
      `vault:v1:${encoded.replace(/=+$/, '')}${encoded.endsWith('=') ? '' : '='}`,
    ];
    for (const text of others)
      expect(await codeOf(keys.decrypt('unseal', text, NONE)), text).toBe('TRANSIT_CIPHERTEXT_INVALID');
  });

  it('of another store does not open', async () => {
    const [mine, yours] = [1, 2].map(() => new TransitKeys(new MemoryStore(), systemRandom));
    const { ciphertext } = (await mine?.encrypt('unseal', secret, NONE)) ?? { ciphertext: '' };
    await yours?.encrypt('unseal', secret, NONE);
    expect(await codeOf(yours?.decrypt('unseal', ciphertext, NONE) ?? Promise.resolve())).toBe(
      'TRANSIT_CIPHERTEXT_INVALID',
    );
  });
});

describe('keys', () => {
  it('are one when many first encryptions come at once, also through two users of the store', async () => {
    const store = new MemoryStore({ beforeWrite: () => new Promise((resolve) => setImmediate(resolve)) });
    const users = [new TransitKeys(store, systemRandom), new TransitKeys(store, systemRandom)];
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, index) => users[index % 2]?.encrypt('unseal', secret, NONE)),
    );
    const fresh = new TransitKeys(store, systemRandom);
    for (const each of made)
      expect(await fresh.decrypt('unseal', each?.ciphertext ?? '', NONE)).toEqual(secret);
    expect([...(await store.namespace(NAMESPACE)).names()]).toEqual(['unseal/000001']);
  });

  it('are on the disk before the first ciphertext is given, and are there after a power cut', async () => {
    const disk = new SimulatedDisk();
    const store = await SealedStore.create(storeOptions(disk));
    const { ciphertext } = await new TransitKeys(store, systemRandom).encrypt('unseal', secret, NONE);
    const cut = disk.afterPowerCut('lost');
    const after = await SealedStore.open(storeOptions(cut));
    const keys = new TransitKeys(after, systemRandom);
    expect(await keys.decrypt('unseal', ciphertext, NONE)).toEqual(secret);
    expect((await keys.encrypt('unseal', secret, NONE)).version).toBe(1);
    await after.close();
  });

  it('give no ciphertext when the key could not be written', async () => {
    let isBroken = true;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (isBroken) throw new RangeError('the disk is broken');
      },
    });
    const keys = new TransitKeys(store, systemRandom);
    await expect(keys.encrypt('unseal', secret, NONE)).rejects.toThrow('the disk is broken');
    isBroken = false;
    const { ciphertext } = await keys.encrypt('unseal', secret, NONE);
    expect(await keys.decrypt('unseal', ciphertext, NONE)).toEqual(secret);
  });

  it('are not made by decryption', async () => {
    const store = new MemoryStore();
    const keys = new TransitKeys(store, systemRandom);
    expect(await codeOf(keys.decrypt('unseal', 'vault:v1:AAAA', NONE))).toBe('TRANSIT_CIPHERTEXT_INVALID');
    expect(store.writes).toBe(0);
  });

  it('are separate where one name begins like another', async () => {
    const keys = new TransitKeys(new MemoryStore(), systemRandom);
    await keys.encrypt('a', secret, NONE);
    await keys.encrypt('a.b', secret, NONE);
    expect(await keys.rotate('a')).toBe(2);
    expect((await keys.encrypt('a.b', secret, NONE)).version).toBe(1);
    expect((await keys.encrypt('a', secret, NONE)).version).toBe(2);
    expect(await codeOf(keys.rotate('a.'))).toBe('TRANSIT_KEY_NOT_FOUND');
  });

  it('are limited in number, exactly also for requests at once; present ones go on', async () => {
    const store = new MemoryStore({ beforeWrite: () => new Promise((resolve) => setImmediate(resolve)) });
    const keys = new TransitKeys(store, systemRandom, 3);
    const codes = await Promise.all(
      Array.from({ length: 8 }, (_, index) => codeOf(keys.encrypt(`key${index}`, secret, NONE))),
    );
    expect(codes.filter((code) => code === 'done')).toHaveLength(3);
    expect(codes.filter((code) => code === 'TRANSIT_KEYS_FULL')).toHaveLength(5);
    const known = `key${codes.indexOf('done')}`;
    expect(await codeOf(keys.rotate(known))).toBe('TRANSIT_KEYS_FULL');
    expect(await codeOf(keys.encrypt(known, secret, NONE))).toBe('done');
  });

  it('have room for one more: many first encryptions under one name all get it', async () => {
    const store = new MemoryStore({ beforeWrite: () => new Promise((resolve) => setImmediate(resolve)) });
    const keys = new TransitKeys(store, systemRandom, 1);
    const codes = await Promise.all(
      Array.from({ length: 8 }, () => codeOf(keys.encrypt('unseal', secret, NONE))),
    );
    expect(codes).toEqual(Array.from({ length: 8 }, () => 'done'));
  });

  it('whose record has another form are a damage, not a new key', async () => {
    const store = new MemoryStore();
    const keys = new TransitKeys(store, systemRandom);
    const { ciphertext } = await keys.encrypt('unseal', secret, NONE);
    const records = await store.namespace(NAMESPACE);
    for (const record of [new Uint8Array(33), Uint8Array.of(1, ...new Uint8Array(31))]) {
      await records.put('unseal/000001', record);
      expect(await codeOf(keys.decrypt('unseal', ciphertext, NONE))).toBe('STORE_RECORD_DAMAGED');
      expect(await codeOf(keys.encrypt('unseal', secret, NONE))).toBe('STORE_RECORD_DAMAGED');
    }
  });
});

describe('rotation', () => {
  it('adds a version for new ciphertexts, and all older ones still open', async () => {
    const store = new MemoryStore();
    const keys = new TransitKeys(store, systemRandom);
    expect(await codeOf(keys.rotate('unseal'))).toBe('TRANSIT_KEY_NOT_FOUND');
    expect(store.writes).toBe(0);
    const made: string[] = [];
    for (let version = 1; version <= 12; version++) {
      const encrypted = await keys.encrypt('unseal', secret, NONE);
      expect(encrypted.version).toBe(version);
      expect(encrypted.ciphertext.startsWith(`vault:v${version}:`)).toBe(true);
      made.push(encrypted.ciphertext);
      expect(await keys.rotate('unseal')).toBe(version + 1);
    }
    const restarted = new TransitKeys(store.reopened(), systemRandom);
    for (const ciphertext of made)
      expect(await restarted.decrypt('unseal', ciphertext, NONE)).toEqual(secret);
  });

  it('never replaces a version, also through two users of the store at once', async () => {
    const store = new MemoryStore({ beforeWrite: () => new Promise((resolve) => setImmediate(resolve)) });
    const users = [new TransitKeys(store, systemRandom), new TransitKeys(store, systemRandom)];
    await users[0]?.encrypt('unseal', secret, NONE);
    const made: string[] = [];
    await Promise.all(
      users.map(async (user) => {
        for (let turn = 0; turn < 10; turn++) {
          await user.rotate('unseal');
          made.push((await user.encrypt('unseal', secret, NONE)).ciphertext);
        }
      }),
    );
    const fresh = new TransitKeys(store, systemRandom);
    for (const ciphertext of made) expect(await fresh.decrypt('unseal', ciphertext, NONE)).toEqual(secret);
  });
});

describe('a store that takes no writes', () => {
  it('makes no key and no version, and still opens and encrypts with present ones', async () => {
    const store = new FencedStore(new MemoryStore(), true);
    const keys = new TransitKeys(store, systemRandom);
    const { ciphertext } = await keys.encrypt('unseal', secret, NONE);
    store.fence('boot 2 came later');
    expect(await codeOf(keys.encrypt('other', secret, NONE))).toBe('NODE_FENCED');
    expect(await codeOf(keys.rotate('unseal'))).toBe('NODE_FENCED');
    expect(await keys.decrypt('unseal', ciphertext, NONE)).toEqual(secret);
    expect(await codeOf(keys.encrypt('unseal', secret, NONE))).toBe('done');
  });

  it('refuses the very first key by its own code while it does not hold its account', async () => {
    const store = new FencedStore(new MemoryStore(), false);
    const keys = new TransitKeys(store, systemRandom);
    expect(await codeOf(keys.encrypt('unseal', secret, NONE))).toBe('NODE_UNCLAIMED');
    expect(await codeOf(keys.decrypt('unseal', 'vault:v1:AAAA', NONE))).toBe('TRANSIT_CIPHERTEXT_INVALID');
    store.release();
    expect(await codeOf(keys.encrypt('unseal', secret, NONE))).toBe('done');
  });
});
