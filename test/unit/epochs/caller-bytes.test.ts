import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { Dealer } from '../../../src/epochs/dealer.ts';
import { copyRound, type Round, sameRound } from '../../../src/epochs/dkg-scheme.ts';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { Player } from '../../../src/epochs/player.ts';
import { recordLog } from '../../../src/epochs/round-logs.ts';
import { SealedSecretStore } from '../../../src/epochs/sealed-secret-store.ts';
import {
  bytesOf,
  journalAt,
  keyOf,
  roundOf,
  schemeOf,
  secretOf,
  stateOf,
} from '../../support/dkg-members.ts';
import { detachedBytes, kindsOfBytes } from '../../support/kinds-of-bytes.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const schemes = [schemeOf(0), schemeOf(1), schemeOf(2), schemeOf(3)] as const;
const [zero, one] = schemes;
const round = roundOf(schemes, 0);

/** What a JavaScript caller can pass although the types forbid it. */
const untyped = (value: unknown): never => value as never;

async function dealerOfZero(journalStore = new MemoryStore()) {
  const journal = await journalAt(0, 'seed', journalStore);
  const dealer = await Dealer.create({ journal, scheme: zero, round });
  return { journal, dealer: dealer ?? expect.fail('no dealer') };
}

async function shipmentToOne() {
  const { dealer } = await dealerOfZero();
  const found = dealer
    .sharesToDistribute()
    .find(({ player }) => Buffer.compare(player, one.self.publicKey) === 0);
  return found ?? expect.fail('nothing to send');
}

describe.each(kindsOfBytes)(
  'bytes of the caller ($kind) may be changed by the caller during a call',
  ({ make }) => {
    it.each([
      ['ack', 'appendAck', 'acks'],
      ['log', 'appendLog', 'logs'],
      ['evidence', 'appendEvidence', 'evidence'],
    ] as const)('%s is stored unchanged, and the journal opens again', async (_kind, append, read) => {
      const store = new MemoryStore();
      const journal = await journalAt(0, 'seed', store);
      // Two of one participant: the second waits its turn, and is refused as the second and not as another's first.
      const [participant, message] = [make(keyOf('a')), make(bytesOf('message'))];
      const appending = [journal[append](0, participant, message), journal[append](0, participant, message)];
      participant.fill(0xff);
      message.fill(0xff);
      expect(await Promise.all(appending)).toEqual([true, false]);
      const expected = [{ participant: keyOf('a'), message: bytesOf('message') }];
      expect(journal[read](0)).toEqual(expected);
      expect((await EpochJournal.open(store))[read](0)).toEqual(expected);
    });

    it('both halves of a dealing are stored unchanged', async () => {
      const store = new MemoryStore();
      const journal = await journalAt(0, 'seed', store);
      const [dealer, publicMessage] = [make(keyOf('a')), make(bytesOf('public'))];
      const privateMessage = secretOf('private');
      const appending = journal.appendDealing(0, dealer, { publicMessage, privateMessage });
      dealer.fill(0xff);
      publicMessage.fill(0xff);
      privateMessage.wipe();
      expect(await appending).toBe(true);
      const reopened = await EpochJournal.open(store);
      expect(reopened.dealings(0)).toEqual([{ participant: keyOf('a'), message: bytesOf('public') }]);
      expect((await reopened.privateDealing(0, keyOf('a')))?.equals(secretOf('private'))).toBe(true);
    });

    it('the state of an epoch with its secrets is stored unchanged', async () => {
      const store = new MemoryStore();
      const journal = await EpochJournal.open(store);
      const busy = journal.commitEpoch(1, stateOf('first seed'));
      const state = {
        ...stateOf('seed'),
        round: 3,
        output: make(bytesOf('output')),
        share: { index: 2, scalar: secretOf('share') },
      };
      const committing = journal.commitEpoch(2, state);
      state.output.fill(0xff);
      state.round = 4;
      state.share.index = 9;
      state.share.scalar.wipe();
      state.rngSeed.wipe();
      await Promise.all([busy, committing]);
      const reopened = await EpochJournal.open(store);
      expect(reopened.current()).toEqual({ number: 2, round: 3, output: bytesOf('output') });
      expect((await reopened.secrets.getSeed(2))?.equals(secretOf('seed'))).toBe(true);
      const share = await reopened.secrets.getShare(2);
      expect([share?.index, share?.scalar.equals(secretOf('share'))]).toEqual([2, true]);
    });

    it('a dealing in a secret store is stored unchanged', async () => {
      const secrets = await SealedSecretStore.open(new MemoryStore());
      const [dealer, dealing] = [make(keyOf('a')), new SecretBytes(make(bytesOf('part')))];
      const putting = secrets.putDealing(0, dealer, dealing);
      dealer.fill(0xff);
      dealing.wipe();
      await putting;
      expect((await secrets.getDealing(0, keyOf('a')))?.equals(secretOf('part'))).toBe(true);
    });

    it('a player that gets two dealings in one receive buffer detects the equivocation', async () => {
      const journal = await journalAt(0, 'seed of the player');
      const player = (await Player.create({ journal, scheme: one, round })) ?? expect.fail('no player');
      const { publicMessage, sealed } = await shipmentToOne();
      const other = zero.deal(round, secretOf('another seed'));
      const buffer = make(publicMessage);
      const [dealer, part] = [make(zero.self.publicKey), make(sealed)];
      const first = player.handle(dealer, buffer, part);
      buffer.set(other.publicMessage);
      const second = player.handle(dealer, buffer, part);
      buffer.fill(0);
      dealer.fill(0);
      part.fill(0);
      expect(await first).toMatchObject({
        verdict: 'valid',
        ack: one.signAck(round, zero.self.publicKey, publicMessage),
      });
      expect(await second).toEqual({ verdict: 'fault', reason: 'equivocation' });
      expect(journal.dealings(0)).toEqual([{ participant: zero.self.publicKey, message: publicMessage }]);
    });

    it('a dealer counts the ack in the form that it checked', async () => {
      const { journal, dealer } = await dealerOfZero();
      for (const scheme of schemes) {
        const [player, ack] = [
          make(scheme.self.publicKey),
          make(scheme.signAck(round, zero.self.publicKey, dealer.publicMessage)),
        ];
        const handling = dealer.handle(player, ack);
        player.fill(0xff);
        ack.fill(0xff);
        expect(await handling).toBe('valid');
      }
      dealer.finalize();
      const log = dealer.takeFinalized() ?? expect.fail('no log');
      const [name, given] = [make(zero.self.publicKey), make(log)];
      const recording = recordLog({ journal, scheme: one, round }, name, given);
      name.fill(0xff);
      given.fill(0xff);
      expect(await recording).toBe('valid');
      expect(journal.logs(0)).toEqual([{ participant: zero.self.publicKey, message: log }]);
    });

    it('dealer and player copy the round when they are made', async () => {
      const mutable = roundOf(schemes, 0);
      const members = mutable.players.map(({ publicKey, encryptionKey }) => ({
        publicKey: make(publicKey),
        encryptionKey: make(encryptionKey),
      }));
      const given = { ...mutable, dealers: members, players: members };
      const creating = Dealer.create({ journal: await journalAt(0, 'seed'), scheme: zero, round: given });
      const joining = Player.create({
        journal: await journalAt(0, 'seed of one'),
        scheme: one,
        round: given,
      });
      for (const { publicKey, encryptionKey } of members) {
        publicKey.fill(0xff);
        encryptionKey.fill(0xff);
      }
      given.epoch = 7;
      const dealer = (await creating) ?? expect.fail('no dealer');
      const player = (await joining) ?? expect.fail('no player');
      const { publicMessage, sealed } = await shipmentToOne();
      expect(dealer.publicMessage).toEqual(publicMessage);
      expect(await player.handle(zero.self.publicKey, publicMessage, sealed)).toMatchObject({
        verdict: 'valid',
      });
    });
  },
);

it('a seed that its owner wipes during storing is not stored as zeros', async () => {
  const secrets = await SealedSecretStore.open(new MemoryStore());
  const seed = secretOf('seed');
  const putting = secrets.putSeed(0, seed);
  seed.wipe();
  await putting;
  expect((await secrets.getSeed(0))?.equals(secretOf('seed'))).toBe(true);
});

it('readers get copies of their own', async () => {
  const { journal, dealer } = await dealerOfZero();
  await journal.appendLog(0, keyOf('a'), bytesOf('log'));
  await journal.commitEpoch(1, stateOf('seed', { output: bytesOf('output') }));
  journal.logs(0)[0]?.message.fill(0);
  journal.current()?.output?.fill(0);
  const before = Uint8Array.from(dealer.publicMessage);
  dealer.publicMessage.fill(0);
  for (const { publicMessage, sealed, player } of dealer.sharesToDistribute())
    for (const bytes of [publicMessage, sealed, player]) bytes.fill(0);
  expect(journal.logs(0)[0]?.message).toEqual(bytesOf('log'));
  expect(journal.current()?.output).toEqual(bytesOf('output'));
  expect(dealer.publicMessage).toEqual(before);
  expect(dealer.sharesToDistribute()[0]?.publicMessage).toEqual(before);
  expect(dealer.sharesToDistribute()[0]?.sealed.some((byte) => byte !== 0)).toBe(true);
});

describe('values that only a JavaScript caller can pass are refused, and nothing is written', () => {
  it.each([
    ['text', 'abc'],
    ['an array of numbers', Array.from({ length: 32 }, () => 1)],
    ['a Uint16Array', new Uint16Array(32)],
    ['nothing', undefined],
    ['bytes whose buffer is detached', detachedBytes()],
  ])('%s where bytes are expected', async (_kind, value) => {
    const store = new MemoryStore();
    const journal = await journalAt(0, 'seed', store);
    const secrets = await SealedSecretStore.open(store, 'other');
    const { dealer } = await dealerOfZero();
    const player = (await Player.create({ journal, scheme: one, round })) ?? expect.fail('no player');
    const { writes } = store;
    const dealing = { publicMessage: bytesOf('public'), privateMessage: secretOf('private') };
    const calls = [
      () => journal.appendAck(0, untyped(value), bytesOf('a')),
      () => journal.appendAck(0, keyOf('a'), untyped(value)),
      () => journal.appendDealing(0, untyped(value), dealing),
      () => journal.appendDealing(0, keyOf('a'), { ...dealing, publicMessage: untyped(value) }),
      () => journal.appendDealing(0, keyOf('a'), { ...dealing, privateMessage: untyped(value) }),
      () => journal.commitEpoch(1, stateOf('seed', { rngSeed: untyped(value) })),
      () => secrets.putDealing(0, untyped(value), secretOf('a')),
      () => secrets.putSeed(0, untyped(value)),
      () => secrets.putShare(0, { index: 1, scalar: untyped(value) }),
      () => player.handle(untyped(value), bytesOf('a'), bytesOf('a')),
      () => player.handle(zero.self.publicKey, untyped(value), bytesOf('a')),
      () => player.handle(zero.self.publicKey, bytesOf('a'), untyped(value)),
      () => dealer.handle(untyped(value), bytesOf('a')),
      () => dealer.handle(one.self.publicKey, untyped(value)),
      () => recordLog({ journal, scheme: one, round }, zero.self.publicKey, untyped(value)),
      () => recordLog({ journal, scheme: one, round }, untyped(value), bytesOf('a')),
    ];
    // RangeError where the length of a secret is looked at first.
    const misuse = expect.objectContaining({ name: expect.stringMatching(/^(Type|Range)Error$/) });
    for (const [at, call] of calls.entries()) await expect(call(), `call ${at}`).rejects.toThrow(misuse);
    expect(store.writes).toBe(writes);
  });

  it.each([Number.NaN, -1, 1.5, '7', Number.POSITIVE_INFINITY])('limits and numbers of %s', async (wrong) => {
    const limit: never = untyped(wrong);
    for (const options of [{ maxParticipants: limit }, { maxMessageBytes: limit }])
      await expect(EpochJournal.open(new MemoryStore(), options)).rejects.toThrow(RangeError);
    const journal = await journalAt(0, 'seed');
    await expect(journal.commitEpoch(limit, stateOf('seed'))).rejects.toThrow(RangeError);
    await expect(journal.commitEpoch(1, stateOf('seed', { round: limit }))).rejects.toThrow(RangeError);
    const share = { index: limit, scalar: secretOf('share') };
    await expect(journal.commitEpoch(1, stateOf('seed', { share }))).rejects.toThrow(RangeError);
    await expect(journal.appendAck(limit, keyOf('a'), bytesOf('ack'))).rejects.toThrow(RangeError);
    await expect(journal.prune(limit)).rejects.toThrow(RangeError);
    expect(journal.current()?.number).toBe(0);
    expect(await journal.secrets.getSeed(1)).toBeUndefined();
  });
});

describe('sameRound', () => {
  const first = { ...round, previous: bytesOf('previous') };
  const [member, ...others] = first.players;
  const changed: Readonly<Record<string, Round>> = {
    network: { ...first, network: 'other' },
    epoch: { ...first, epoch: 1 },
    round: { ...first, round: 1 },
    'fewer dealers': { ...first, dealers: others },
    'order of the players': { ...first, players: first.players.toReversed() },
    'key of a player': { ...first, players: [{ ...zero.self, publicKey: keyOf('a') }, ...others] },
    'encryption key of a dealer': {
      ...first,
      dealers: [{ ...zero.self, encryptionKey: keyOf('a') }, ...others],
    },
    previous: { ...first, previous: bytesOf('another') },
    'no previous': round,
  };

  it('treats a copy as the same round, although its objects are different', () => {
    const copy = copyRound(first);
    expect(sameRound(first, copy)).toBe(true);
    expect(copy.players[0]?.publicKey).not.toBe(member?.publicKey);
  });

  it.each(Object.entries(changed))('differs in %s', (_name, other) => {
    expect([sameRound(first, other), sameRound(other, first)]).toEqual([false, false]);
  });

  it('a scheme does not treat a changed round as the earlier one', () => {
    const reused = { ...roundOf(schemes, 0) };
    const ack = one.signAck(reused, zero.self.publicKey, bytesOf('message'));
    reused.epoch = 1;
    expect(one.signAck(reused, zero.self.publicKey, bytesOf('message'))).not.toEqual(ack);
  });
});
