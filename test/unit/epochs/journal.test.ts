import { describe, expect, it } from 'vitest';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { encodeEvent } from '../../../src/epochs/epoch-record.ts';
import { SealedSecretStore } from '../../../src/epochs/sealed-secret-store.ts';
import { stateDigest } from '../../../src/epochs/state-digest.ts';
import { bytesOf, journalAt, keyOf, secretOf, stateOf } from '../../support/dkg-members.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const dealing = (text: string) => ({
  publicMessage: bytesOf(text),
  privateMessage: secretOf(`${text} private`),
});

describe('E2 append each kind, duplicate gives false and no bytes are written', () => {
  it.each(['dealing', 'ack', 'log', 'evidence'] as const)('%s', async (kind) => {
    const store = new MemoryStore();
    const journal = await journalAt(0, 'seed', store);
    const append = (text: string) =>
      kind === 'dealing'
        ? journal.appendDealing(0, keyOf('a'), dealing(text))
        : kind === 'ack'
          ? journal.appendAck(0, keyOf('a'), bytesOf(text))
          : kind === 'log'
            ? journal.appendLog(0, keyOf('a'), bytesOf(text))
            : journal.appendEvidence(0, keyOf('a'), bytesOf(text));
    const read = () =>
      ({
        dealing: journal.dealings(0),
        ack: journal.acks(0),
        log: journal.logs(0),
        evidence: journal.evidence(0),
      })[kind];
    expect(await append('first')).toBe(true);
    const { writes } = store;
    expect(await append('first')).toBe(false);
    expect(await append('second')).toBe(false);
    expect(store.writes).toBe(writes);
    expect(read()).toEqual([{ participant: keyOf('a'), message: bytesOf('first') }]);
  });

  it('of a hundred concurrent appends one wins, and the others wait until it is durable', async () => {
    const journal = await journalAt(0, 'seed');
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, turn) => journal.appendLog(0, keyOf('a'), bytesOf(`log ${turn}`))),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(results[0]).toBe(true);
    expect(journal.logs(0)[0]?.message).toEqual(bytesOf('log 0'));
  });

  it('when the first append fails, the second one takes its place', async () => {
    let failures = 1;
    const store = new MemoryStore({
      beforeWrite: (operations) => {
        if (operations.length > 0 && armed && failures-- > 0) throw new Error('EIO');
      },
    });
    let armed = false;
    const journal = await journalAt(0, 'seed', store);
    armed = true;
    const [first, second] = await Promise.allSettled([
      journal.appendAck(0, keyOf('a'), bytesOf('one')),
      journal.appendAck(0, keyOf('a'), bytesOf('two')),
    ]);
    expect(first.status).toBe('rejected');
    expect(second).toMatchObject({ status: 'fulfilled', value: true });
    expect(journal.acks(0)[0]?.message).toEqual(bytesOf('two'));
  });

  it('entries are ordered and are copies; unknown epochs are empty', async () => {
    const journal = await journalAt(0, 'seed');
    const keys = ['c', 'a', 'b', 'd'].map(keyOf);
    for (const key of keys) await journal.appendAck(0, key, bytesOf('ack'));
    const listed = journal.acks(0).map(({ participant }) => participant);
    expect(listed).toEqual([...keys].sort((a, b) => Buffer.compare(a, b)));
    journal.acks(0)[0]?.message.fill(0);
    expect(journal.acks(0)[0]?.message).toEqual(bytesOf('ack'));
    expect(journal.dealings(99)).toEqual([]);
    expect(journal.hasLog(99, keyOf('a'))).toBe(false);
  });

  it('the size of a message, the number of participants and the length of a key are bounded', async () => {
    const journal = await journalAt(0, 's', new MemoryStore(), { maxParticipants: 2, maxMessageBytes: 40 });
    const tooMuch = expect.objectContaining({ code: 'EPOCH_LIMIT' });
    await expect(journal.appendAck(0, keyOf('a'), new Uint8Array(41))).rejects.toThrow(tooMuch);
    await journal.appendAck(0, keyOf('a'), new Uint8Array(40));
    await journal.appendAck(0, keyOf('b'), new Uint8Array(0));
    await expect(journal.appendAck(0, keyOf('c'), new Uint8Array(1))).rejects.toThrow(tooMuch);
    await expect(journal.appendAck(0, new Uint8Array(31), new Uint8Array(1))).rejects.toThrow(RangeError);
    await expect(journal.appendAck(-1, keyOf('a'), new Uint8Array(1))).rejects.toThrow(RangeError);
    const state = stateOf('next', { output: new Uint8Array(41) });
    await expect(journal.commitEpoch(1, state)).rejects.toThrow(tooMuch);
  });
});

describe('E3 replay restores dealings, acks, logs and the current epoch', () => {
  it('all records are restored', async () => {
    const store = new MemoryStore();
    const journal = await journalAt(4, 'seed four', store);
    const share = { index: 2, scalar: secretOf('share') };
    await journal.commitEpoch(5, stateOf('seed five', { round: 1, output: bytesOf('output'), share }));
    for (const name of ['a', 'b']) {
      await journal.appendDealing(5, keyOf(name), dealing(name));
      await journal.appendAck(5, keyOf(name), bytesOf(`ack ${name}`));
      await journal.appendLog(5, keyOf(name), bytesOf(`log ${name}`));
    }
    await journal.appendEvidence(5, keyOf('b'), bytesOf('proof'));
    await journal.appendLog(4, keyOf('a'), bytesOf('older'));
    const again = await EpochJournal.open(store);
    expect(again.current()).toEqual({ number: 5, round: 1, output: bytesOf('output') });
    expect(again.epochs()).toEqual([4, 5]);
    expect(again.dealings(5)).toEqual(journal.dealings(5));
    expect(again.acks(5)).toEqual(journal.acks(5));
    expect(again.logs(5)).toEqual(journal.logs(5));
    expect(again.evidence(5)).toHaveLength(1);
    expect(again.hasLog(4, keyOf('a'))).toBe(true);
    expect((await again.privateDealing(5, keyOf('a')))?.equals(secretOf('a private'))).toBe(true);
    expect((await again.secrets.getSeed(5))?.equals(secretOf('seed five'))).toBe(true);
    expect((await again.secrets.getShare(5))?.scalar.equals(secretOf('share'))).toBe(true);
    expect(stateDigest(again)).toBe(stateDigest(journal));
    expect(await again.appendLog(5, keyOf('a'), bytesOf('another'))).toBe(false);
  });

  it('before the first epoch there is no current epoch', async () => {
    const journal = await EpochJournal.open(new MemoryStore());
    expect(journal.current()).toBeUndefined();
    expect(await journal.secrets.getSeed(0)).toBeUndefined();
  });

  it('loads a dealing only if both halves are there and belong together', async () => {
    const store = new MemoryStore();
    const journal = await journalAt(0, 'seed', store);
    for (const name of ['whole', 'no private', 'mixed'])
      await journal.appendDealing(0, keyOf(name), dealing(name));
    const secrets = await store.namespace('epochs/dkg/secrets/0000000000000000', { erasable: true });
    await secrets.delete(`dealing/${Buffer.from(keyOf('no private')).toString('hex')}`);
    await journal.secrets.putDealing(0, keyOf('mixed'), secretOf('of another public half'));
    const again = await EpochJournal.open(store);
    expect(again.dealings(0).map(({ participant }) => participant)).toEqual([keyOf('whole')]);
    expect(await again.appendDealing(0, keyOf('mixed'), dealing('new'))).toBe(true);
  });

  it('refuses a record under another name, and one that is malformed', async () => {
    const store = new MemoryStore();
    await journalAt(0, 'seed', store).then((journal) => journal.appendAck(0, keyOf('a'), bytesOf('ack')));
    const messages = await store.namespace('epochs/dkg/messages/0000000000000000', { erasable: true });
    const event = encodeEvent({ kind: 'log', participant: keyOf('a'), message: bytesOf('ack') });
    const name = `ack/${Buffer.from(keyOf('a')).toString('hex')}`;
    await messages.put(name, event);
    await expect(EpochJournal.open(store)).rejects.toMatchObject({ code: 'EPOCH_RECORD_INVALID' });
    await messages.put(name, event.subarray(1));
    await expect(EpochJournal.open(store)).rejects.toMatchObject({ code: 'EPOCH_ENCODING' });
    await messages.delete(name);
    const states = await store.namespace('epochs/dkg/states');
    await states.put('state/ninth', event);
    await expect(EpochJournal.open(store)).rejects.toMatchObject({ code: 'EPOCH_RECORD_INVALID' });
    await states.delete('state/ninth');
    await states.put('pruned-below', Uint8Array.of(1));
    await expect(EpochJournal.open(store)).rejects.toMatchObject({ code: 'EPOCH_ENCODING' });
  });

  it('two journals in one store do not see each other', async () => {
    const store = new MemoryStore();
    const one = await journalAt(0, 'seed', store, { name: 'one' });
    const two = await journalAt(3, 'seed', store, { name: 'two' });
    await one.appendAck(0, keyOf('a'), bytesOf('ack'));
    expect(two.acks(0)).toEqual([]);
    for (const stray of ['epochs/one/messages/', 'epochs/one/messages/1', 'epochs/one/messages/x'])
      await store.namespace(stray, { erasable: true });
    expect((await EpochJournal.open(store, { name: 'one' })).epochs()).toEqual([0]);
    await expect(EpochJournal.open(store, { name: '../x' })).rejects.toThrow(RangeError);
  });
});

describe('E3 the current epoch moves last', () => {
  it('starts at the configured epoch, may skip numbers, and never goes back', async () => {
    const store = new MemoryStore();
    const journal = await journalAt(7, 'seed', store);
    expect(await journal.commitEpoch(12, stateOf('later'))).toBe(true);
    const { writes } = store;
    expect(await journal.commitEpoch(7, stateOf('older again'))).toBe(false);
    expect(await journal.commitEpoch(12, stateOf('the same again'))).toBe(false);
    expect(store.writes).toBe(writes);
    await expect(journal.commitEpoch(12, stateOf('x', { round: 9 }))).rejects.toMatchObject({
      code: 'EPOCH_CONFLICT',
    });
    expect(journal.current()?.number).toBe(12);
  });

  it('the share is written first, then the seed, then the state; after a cut at any write, the next call completes it', async () => {
    for (let allowed = 0; allowed < 6; allowed++) {
      let left = Number.POSITIVE_INFINITY;
      const store = new MemoryStore({
        beforeWrite: () => {
          if (left-- <= 0) throw new Error('power cut');
        },
      });
      await journalAt(0, 'seed', store);
      const journal = await EpochJournal.open(store);
      left = allowed;
      const share = { index: 1, scalar: secretOf('share') };
      const done = await journal.commitEpoch(1, stateOf('one', { round: 1, share })).catch(() => 'cut');
      left = Number.POSITIVE_INFINITY;
      const again = await EpochJournal.open(store);
      if (again.current()?.number === 1) {
        expect(await again.secrets.getShare(1)).toBeDefined();
        expect(await again.secrets.getSeed(1)).toBeDefined();
      } else expect(done).toBe('cut');
      const kept = await again.secrets.getSeed(1);
      await again.commitEpoch(1, stateOf('other seed', { round: 1, share }));
      expect(again.current()?.number).toBe(1);
      const seed = await again.secrets.getSeed(1);
      expect(seed?.equals(kept ?? secretOf('other seed'))).toBe(true);
    }
  });

  it('a share from an interrupted call is not replaced', async () => {
    const store = new MemoryStore();
    const journal = await journalAt(0, 'seed', store);
    await journal.secrets.putShare(1, { index: 1, scalar: secretOf('kept') });
    const other = stateOf('s', { round: 1, share: { index: 1, scalar: secretOf('another') } });
    await expect(journal.commitEpoch(1, other)).rejects.toMatchObject({ code: 'EPOCH_SECRET_CONFLICT' });
    expect(journal.current()?.number).toBe(0);
  });
});

describe('E9 prune removes epochs below min with their secrets, survives a restart, and guards', () => {
  const grown = async (store: MemoryStore) => {
    const journal = await EpochJournal.open(store);
    for (const epoch of [0, 1, 2, 3]) {
      const share = { index: 1, scalar: secretOf(`share ${epoch}`) };
      await journal.commitEpoch(epoch, stateOf(`seed ${epoch}`, { round: epoch, share }));
      await journal.appendDealing(epoch, keyOf('a'), dealing(`dealing ${epoch}`));
      await journal.appendLog(epoch, keyOf('a'), bytesOf('log'));
    }
    return journal;
  };
  const gone = async (journal: EpochJournal, epoch: number) => {
    expect(journal.dealings(epoch)).toEqual([]);
    expect(journal.logs(epoch)).toEqual([]);
    expect(await journal.privateDealing(epoch, keyOf('a'))).toBeUndefined();
    expect(await journal.secrets.getShare(epoch)).toBeUndefined();
    expect(await journal.secrets.getSeed(epoch)).toBeUndefined();
    expect(await journal.secrets.getDealing(epoch, keyOf('a'))).toBeUndefined();
  };

  it('the other epochs stay, a second prune changes nothing, and the guard survives a restart', async () => {
    const store = new MemoryStore();
    const journal = await grown(store);
    await journal.prune(2);
    const { writes } = store;
    await journal.prune(2);
    await journal.prune(1);
    expect(store.writes).toBe(writes);
    for (const opened of [journal, await EpochJournal.open(store)]) {
      expect(opened.prunedBelow).toBe(2);
      expect(opened.epochs()).toEqual([2, 3]);
      await gone(opened, 0);
      await gone(opened, 1);
      expect((await opened.secrets.getShare(2))?.scalar.equals(secretOf('share 2'))).toBe(true);
      for (const write of [
        () => opened.appendDealing(1, keyOf('z'), dealing('late')),
        () => opened.appendAck(0, keyOf('z'), bytesOf('late')),
        () => opened.commitEpoch(1, stateOf('late')),
        () => opened.secrets.putSeed(1, secretOf('late')),
        () => opened.secrets.putDealing(0, keyOf('z'), secretOf('late')),
      ])
        await expect(write()).rejects.toMatchObject({ code: 'EPOCH_PRUNED' });
    }
    expect(store.namespaces().filter((name) => /000[01]$/.test(name))).toEqual([]);
  });

  it('the current epoch is never removed', async () => {
    const journal = await grown(new MemoryStore());
    await expect(journal.prune(4)).rejects.toMatchObject({ code: 'EPOCH_IS_CURRENT' });
    await journal.prune(3);
    expect(journal.current()?.number).toBe(3);
    expect(journal.logs(3)).toHaveLength(1);
  });

  it('after a cut at any write, reopening completes the prune', async () => {
    for (let allowed = 0; allowed < 10; allowed++) {
      let left = Number.POSITIVE_INFINITY;
      const store = new MemoryStore({
        beforeWrite: () => {
          if (left-- <= 0) throw new Error('power cut');
        },
      });
      const journal = await grown(store);
      left = allowed;
      const ended = await journal.prune(2).then(
        () => true,
        () => false,
      );
      left = Number.POSITIVE_INFINITY;
      if (!ended && allowed > 0) await expect(journal.prune(2)).resolves.toBeUndefined();
      const again = await EpochJournal.open(store);
      const pruned = again.prunedBelow === 2;
      expect(pruned || allowed === 0).toBe(true);
      for (const epoch of [0, 1]) {
        if (pruned) await gone(again, epoch);
        else expect(await again.secrets.getShare(epoch)).toBeDefined();
      }
      expect(again.epochs()).toContain(3);
      expect(await again.secrets.getShare(2)).toBeDefined();
    }
  });

  it('a pruned epoch is not visible after the call, also when erasing fails', async () => {
    let failing = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (failing) throw new Error('EIO');
      },
    });
    const journal = await grown(store);
    failing = true;
    await expect(journal.prune(2)).rejects.toThrow('EIO');
    expect(journal.epochs()).toEqual([2, 3]);
    expect(journal.dealings(1)).toEqual([]);
    expect(journal.committed()).toEqual([2, 3]);
    failing = false;
    await journal.prune(2);
    expect((await EpochJournal.open(store)).prunedBelow).toBe(2);
  });

  it('a concurrent append does not bring a pruned epoch back', async () => {
    let hold: Promise<void> | undefined;
    const store = new MemoryStore({ beforeWrite: () => hold });
    const journal = await grown(store);
    let release = (): void => undefined;
    hold = new Promise((resolve) => {
      release = resolve;
    });
    const append = journal.appendDealing(1, keyOf('late'), dealing('late'));
    const prune = journal.prune(3);
    release();
    await Promise.allSettled([append, prune]);
    await prune;
    expect(store.namespaces().filter((name) => name.endsWith('0000001'))).toEqual([]);
    expect(journal.epochs()).toEqual([3]);
  });

  it('secrets alone can be pruned in the same way', async () => {
    const store = new MemoryStore();
    const secrets = await SealedSecretStore.open(store, 'alone');
    for (const epoch of [1, 2]) await secrets.putSeed(epoch, secretOf(`${epoch}`));
    await secrets.prune(2);
    const again = await SealedSecretStore.open(store, 'alone');
    expect(await again.getSeed(1)).toBeUndefined();
    expect(await again.getSeed(2)).toBeDefined();
    await expect(again.putSeed(1, secretOf('1'))).rejects.toMatchObject({ code: 'EPOCH_PRUNED' });
  });
});

describe('appendEpoch numbers the epochs', () => {
  it('from 0, in steps of one, and from the current epoch after a restart', async () => {
    const store = new MemoryStore();
    const journal = await EpochJournal.open(store);
    expect(await journal.appendEpoch(stateOf('a'))).toBe(0);
    expect(await journal.appendEpoch(stateOf('b', { round: 1 }))).toBe(1);
    expect(journal.current()).toEqual({ number: 1, round: 1 });
    const reopened = await EpochJournal.open(store);
    expect(await reopened.appendEpoch(stateOf('c'))).toBe(2);
    expect((await reopened.secrets.getSeed(2))?.equals(secretOf('c'))).toBe(true);
    expect(reopened.committed()).toEqual([0, 1, 2]);
  });

  it('from the number of commitEpoch, and never with a pruned number', async () => {
    const journal = await EpochJournal.open(new MemoryStore());
    await journal.commitEpoch(7, stateOf('seven'));
    expect(await journal.appendEpoch(stateOf('eight'))).toBe(8);
    await journal.prune(8);
    expect(await journal.appendEpoch(stateOf('nine'))).toBe(9);
  });

  it('with a different number for each of a hundred concurrent calls', async () => {
    const journal = await EpochJournal.open(new MemoryStore());
    const numbers = await Promise.all(
      Array.from({ length: 100 }, (_, at) => journal.appendEpoch(stateOf(`seed ${at}`))),
    );
    expect(numbers).toEqual(Array.from({ length: 100 }, (_, at) => at));
    expect((await journal.secrets.getSeed(57))?.equals(secretOf('seed 57'))).toBe(true);
  });

  it('and uses the number of a failed call again', async () => {
    let isFailing = false;
    const store = new MemoryStore({
      beforeWrite: () => {
        if (isFailing) throw new Error('EIO');
      },
    });
    const journal = await journalAt(3, 'seed', store);
    isFailing = true;
    await expect(journal.appendEpoch(stateOf('a'))).rejects.toThrow('EIO');
    expect(journal.current()?.number).toBe(3);
    isFailing = false;
    expect(await journal.appendEpoch(stateOf('b'))).toBe(4);
  });
});
