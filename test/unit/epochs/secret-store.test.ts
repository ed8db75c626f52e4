import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { participantName } from '../../../src/epochs/epoch-names.ts';
import type { Share } from '../../../src/epochs/epoch-record.ts';
import { SealedSecretStore } from '../../../src/epochs/sealed-secret-store.ts';
import type { SecretStore } from '../../../src/epochs/secret-store.ts';
import { bytesOf, keyOf, secretOf, stateOf } from '../../support/dkg-members.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const share = (text: string): Share => ({ index: 3, scalar: secretOf(text) });
const conflict = expect.objectContaining({ code: 'EPOCH_SECRET_CONFLICT' });

describe('E16 SecretStore: the seven methods', () => {
  it('secrets are stored and read back, also after reopening', async () => {
    const store = new MemoryStore();
    const secrets = await SealedSecretStore.open(store, 'one');
    await secrets.putShare(4, share('share'));
    await secrets.putSeed(4, secretOf('seed'));
    await secrets.putDealing(4, keyOf('dealer'), secretOf('part'));
    const again = await SealedSecretStore.open(store, 'one');
    for (const opened of [secrets, again]) {
      expect((await opened.getShare(4))?.index).toBe(3);
      expect((await opened.getShare(4))?.scalar.equals(secretOf('share'))).toBe(true);
      expect((await opened.getSeed(4))?.equals(secretOf('seed'))).toBe(true);
      expect((await opened.getDealing(4, keyOf('dealer')))?.equals(secretOf('part'))).toBe(true);
    }
  });

  it('a missing secret is undefined, and reading writes nothing', async () => {
    const store = new MemoryStore();
    const secrets = await SealedSecretStore.open(store);
    const { writes } = store;
    expect(await secrets.getShare(0)).toBeUndefined();
    expect(await secrets.getSeed(0)).toBeUndefined();
    expect(await secrets.getDealing(0, keyOf('x'))).toBeUndefined();
    expect(store.writes).toBe(writes);
    expect(store.namespaces()).toEqual(['epochs/dkg/secrets']);
  });

  it('a share and a seed are written once; the same value writes nothing; another value is refused', async () => {
    const store = new MemoryStore();
    const secrets = await SealedSecretStore.open(store);
    await secrets.putShare(1, share('a'));
    await secrets.putSeed(1, secretOf('a'));
    const { writes } = store;
    await secrets.putShare(1, share('a'));
    await secrets.putSeed(1, secretOf('a'));
    expect(store.writes).toBe(writes);
    await expect(secrets.putShare(1, share('b'))).rejects.toThrow(conflict);
    await expect(secrets.putSeed(1, secretOf('b'))).rejects.toThrow(conflict);
    expect((await secrets.getSeed(1))?.equals(secretOf('a'))).toBe(true);
    await expect(secrets.putSeed(2, new SecretBytes(new Uint8Array(31)))).rejects.toThrow(RangeError);
  });

  it('E16 a put, and an equal put after it, resolve only after the disk has synced', async () => {
    let armed = false;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const store = new MemoryStore({ afterWrite: () => (armed ? held : undefined) });
    const secrets = await SealedSecretStore.open(store);
    await secrets.putSeed(0, secretOf('older'));
    armed = true;
    const ended: string[] = [];
    const puts = [
      secrets.putShare(0, share('a')).then(() => ended.push('first')),
      secrets.putShare(0, share('a')).then(() => ended.push('second')),
      secrets.putDealing(0, keyOf('d'), secretOf('p')).then(() => ended.push('dealing')),
    ];
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toEqual([]);
    release();
    await Promise.all(puts);
    expect(ended).toHaveLength(3);
  });

  it('a failed put rejects, and the next one may succeed', async () => {
    let failing = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (failing) throw new Error('EIO');
      },
    });
    const secrets = await SealedSecretStore.open(store);
    failing = true;
    await expect(secrets.putSeed(0, secretOf('s'))).rejects.toThrow('EIO');
    failing = false;
    await secrets.putSeed(0, secretOf('s'));
    expect((await secrets.getSeed(0))?.equals(secretOf('s'))).toBe(true);
  });

  it('secrets do not print', async () => {
    const secrets = await SealedSecretStore.open(new MemoryStore());
    await secrets.putShare(0, share('a'));
    const kept = await secrets.getShare(0);
    expect(inspect(kept)).toContain('[secret]');
    expect(JSON.stringify(kept)).not.toContain(Buffer.from(bytesOf('a')).toString('hex'));
  });
});

/** Another implementation, as an application might supply it; `fail` lets its next put fail. */
function foreignStore() {
  const dealings = new Map<string, Uint8Array>();
  const seeds = new Map<number, SecretBytes>();
  const shares = new Map<number, Share>();
  const calls: string[] = [];
  const state = { fail: false };
  const put = async (name: string): Promise<void> => {
    calls.push(name);
    if (state.fail) throw new Error('vault is away');
  };
  const secrets: SecretStore = {
    putShare: async (epoch, value) => put('share').then(() => void shares.set(epoch, value)),
    getShare: async (epoch) => shares.get(epoch),
    putSeed: async (epoch, value) => put('seed').then(() => void seeds.set(epoch, value)),
    getSeed: async (epoch) => seeds.get(epoch),
    putDealing: async (epoch, dealer, value) => {
      const copy = value.reveal().slice();
      await put('dealing');
      dealings.set(`${epoch}/${participantName(dealer)}`, copy);
    },
    getDealing: async (epoch, dealer) => {
      const kept = dealings.get(`${epoch}/${participantName(dealer)}`);
      return kept && new SecretBytes(kept.slice());
    },
    prune: async (min) => void calls.push(`prune ${min}`),
  };
  return { secrets, dealings, calls, state };
}

describe('E16 a SecretStore that the application supplies', () => {
  const dealing = { publicMessage: bytesOf('public'), privateMessage: secretOf('private') };

  it('gets the share, then the seed, before the epoch changes, and gets its part of a prune', async () => {
    const { secrets, calls } = foreignStore();
    const store = new MemoryStore();
    const journal = await EpochJournal.open(store, { secrets });
    await journal.commitEpoch(1, stateOf('seed', { share: share('s') }));
    expect(calls).toEqual(['share', 'seed']);
    await journal.prune(1);
    expect(calls.at(-1)).toBe('prune 1');
    expect(store.namespaces().some((name) => name.includes('secrets'))).toBe(false);
  });

  it('E4 when it fails, nothing is acknowledged, and the written half is ignored', async () => {
    const { secrets, state, dealings } = foreignStore();
    const store = new MemoryStore();
    const journal = await EpochJournal.open(store, { secrets });
    await journal.commitEpoch(0, stateOf('seed'));
    state.fail = true;
    await expect(journal.appendDealing(0, keyOf('d'), dealing)).rejects.toThrow('vault is away');
    expect(journal.dealings(0)).toEqual([]);
    state.fail = false;
    const again = await EpochJournal.open(store, { secrets });
    expect(again.dealings(0)).toEqual([]);
    expect(await again.appendDealing(0, keyOf('d'), dealing)).toBe(true);
    expect((await again.privateDealing(0, keyOf('d')))?.equals(secretOf('private'))).toBe(true);
    expect(dealings.size).toBe(1);
  });

  it('E4 when the store fails, the secret half alone is ignored', async () => {
    const { secrets } = foreignStore();
    let failing = false;
    const store = new MemoryStore({
      beforeWrite: (operations) => {
        if (failing && operations.length > 0) throw new Error('EIO');
      },
    });
    const journal = await EpochJournal.open(store, { secrets });
    await journal.commitEpoch(0, stateOf('seed'));
    failing = true;
    await expect(journal.appendDealing(0, keyOf('d'), dealing)).rejects.toThrow('EIO');
    failing = false;
    const again = await EpochJournal.open(store, { secrets });
    expect(again.dealings(0)).toEqual([]);
    const other = { publicMessage: bytesOf('other'), privateMessage: secretOf('other') };
    expect(await again.appendDealing(0, keyOf('d'), other)).toBe(true);
    expect((await again.privateDealing(0, keyOf('d')))?.equals(secretOf('other'))).toBe(true);
  });
});
