import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { DecryptionService } from '../../../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../../../src/decryptions/decryptions-app.ts';
import { pruneRegularly } from '../../../src/decryptions/prune-regularly.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const KEY = '5e'.repeat(32);
const signature = Uint8Array.from({ length: 64 }, (_, at) => at + 1);

/** What a JavaScript caller can pass although the types forbid it. */
const untyped = (value: unknown): never => value as never;

describe.each(kindsOfBytes)('a signature ($kind) that the caller changes during the write', ({ make }) => {
  /** A service in which another write of the same key is under way, so that the next one waits its turn. */
  async function busyService() {
    const service = await DecryptionService.open(new MemoryStore());
    const first = service.putSignature(KEY, 'first', { value: 0n, signature: new Uint8Array(1) });
    return { service, first };
  }

  it('the stored result is not changed', async () => {
    const { service, first } = await busyService();
    const given = { value: 7n, signature: make(signature) };
    const writing = service.put(KEY, given);
    given.signature.fill(0xff);
    given.value = 8n;
    await Promise.all([first, writing]);
    expect(await service.get(KEY)).toEqual({ value: 7n, signature });
  });

  it('the answer of one oracle is not changed', async () => {
    const { service, first } = await busyService();
    const given = { value: 7n, signature: make(signature) };
    const writing = service.putSignature(KEY, 'second', given);
    given.signature.fill(0xff);
    await Promise.all([first, writing]);
    expect((await service.signatures(KEY))[1]).toMatchObject({ oracle: 'second', value: 7n, signature });
  });

  it('a waiter gets its own copy', async () => {
    const service = await DecryptionService.open(new MemoryStore());
    const waiting = [service.get(KEY), service.get(KEY)];
    const given = make(signature);
    await service.put(KEY, { value: 7n, signature: given });
    given.fill(0xff);
    const [first, second] = await Promise.all(waiting);
    first?.signature.fill(0xee);
    expect(second).toEqual({ value: 7n, signature });
  });
});

describe('values that only a JavaScript caller can pass are refused, and nothing is written', () => {
  it.each([
    ['signature: text', { value: 1n, signature: 'abc' }, TypeError],
    ['signature: array of numbers', { value: 1n, signature: [1, 2] }, TypeError],
    ['signature: missing', { value: 1n }, TypeError],
    ['signature: detached', { value: 1n, signature: detachedBytes() }, TypeError],
    ['value: number', { value: 1, signature }, TypeError],
    ['value: NaN', { value: Number.NaN, signature }, TypeError],
    ['value: negative', { value: -1n, signature }, RangeError],
    ['value: 2^64', { value: 1n << 64n, signature }, RangeError],
  ])('%s', async (_name, decryption, error) => {
    const store = new MemoryStore();
    const service = await DecryptionService.open(store);
    const { writes } = store;
    await expect(service.put(KEY, untyped(decryption))).rejects.toThrow(error);
    await expect(service.putSignature(KEY, 'oracle', untyped(decryption))).rejects.toThrow(error);
    expect(store.writes).toBe(writes);
  });

  it.each(['', 'a/b', 'x'.repeat(65), undefined, 5])('the name of an oracle %s', async (oracle) => {
    const service = await DecryptionService.open(new MemoryStore());
    const writing = service.putSignature(KEY, untyped(oracle), { value: 1n, signature });
    await expect(writing).rejects.toThrow(expect.objectContaining({ code: 'FIELD_INVALID' }));
  });

  it.each([
    ['upper case', KEY.toUpperCase()],
    ['short', '5e'],
    ['no text', undefined],
  ])('a key that is %s is refused by each call, including reads', async (_kind, key) => {
    const service = await DecryptionService.open(new MemoryStore());
    const calls = [
      () => service.get(untyped(key), { waitMs: 0 }),
      () => service.signatures(untyped(key)),
      () => service.put(untyped(key), { value: 1n, signature }),
      () => service.delete(untyped(key)),
    ];
    for (const call of calls)
      await expect(call()).rejects.toThrow(expect.objectContaining({ code: 'FIELD_INVALID' }));
  });

  it.each([Number.NaN, -1, 1.5, '7', Number.POSITIVE_INFINITY])('limits of %s', async (wrong) => {
    const limit: never = untyped(wrong);
    for (const options of [
      { maxExpectedOracleDelayMs: limit },
      { maxWaiters: limit },
      { maxSignaturesPerKey: limit },
    ])
      await expect(DecryptionService.open(new MemoryStore(), options)).rejects.toThrow(RangeError);
    const service = await DecryptionService.open(new MemoryStore());
    await expect(service.get(KEY, { waitMs: limit })).rejects.toThrow(RangeError);
    await expect(service.prune({ maxAgeMs: limit })).rejects.toThrow(RangeError);
    await expect(service.prune({ maxCount: limit })).rejects.toThrow(RangeError);
    expect(() => decryptionsApp(service, { maxBodyBytes: limit })).toThrow(RangeError);
    expect(() => pruneRegularly(service, { everyMs: limit }, () => undefined)).toThrow(RangeError);
  });

  it('options that are not booleans', async () => {
    await expect(DecryptionService.open(new MemoryStore(), { overwrite: untyped('false') })).rejects.toThrow(
      TypeError,
    );
    const service = await DecryptionService.open(new MemoryStore());
    expect(() => decryptionsApp(service, { allowDelete: untyped('false') })).toThrow(TypeError);
  });

  it.each([
    ['an unknown kind', { kind: 'Bearer', token: new SecretBytes(signature) }],
    ['no kind', {}],
    ['null', null],
    ['a token that is text', { kind: 'bearer', token: 'secret' }],
    ['accounts that are text', { kind: 'sr25519', accounts: 'everybody' }],
    ['an account of another length', { kind: 'sr25519', accounts: [signature] }],
  ])('write authorization with %s does not allow all writes', async (_name, writeAuthorization) => {
    const service = await DecryptionService.open(new MemoryStore());
    expect(() => decryptionsApp(service, { writeAuthorization: untyped(writeAuthorization) })).toThrow(
      TypeError,
    );
  });
});
