import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GroupElement, scalarField } from '../../../src/crypto/ristretto255.ts';
import type { Deal, Round, VerifiedLog } from '../../../src/epochs/dkg-scheme.ts';
import { participantName } from '../../../src/epochs/epoch-names.ts';
import type { Share } from '../../../src/epochs/epoch-record.ts';
import { Commitment, evaluate, lagrangeAtZero } from '../../../src/epochs/feldman/commitment.ts';
import type { FeldmanScheme } from '../../../src/epochs/feldman/feldman-scheme.ts';
import { decodeOutput, maxFaults, quorum } from '../../../src/epochs/feldman/round-view.ts';
import { bytesOf, roundOf, schemeOf, secretFrom, secretOf } from '../../support/dkg-members.ts';

const four = [0, 1, 2, 3].map(schemeOf);

/** One dealer's log with the acks of all players but the absent ones. */
function logOf(dealer: FeldmanScheme, round: Round, seed: string, share?: Share, absent: number[] = []) {
  const deal = dealer.deal(round, secretOf(seed), share);
  const acks = new Map<string, Uint8Array>();
  for (const [at, player] of four.entries()) {
    if (absent.includes(at)) continue;
    const name = participantName(player.self.publicKey);
    acks.set(name, player.signAck(round, dealer.self.publicKey, deal.publicMessage));
  }
  return { deal, log: dealer.makeLog(round, secretOf(seed), share, acks) };
}

const partOf = (player: FeldmanScheme, dealer: FeldmanScheme, round: Round, deal: Deal) =>
  player.open(
    round,
    dealer.self.publicKey,
    deal.publicMessage,
    deal.sealed.get(participantName(player.self.publicKey)) ?? new Uint8Array(0),
  );

function run(round: Round, shares: readonly (Share | undefined)[], absent: number[] = []) {
  const dealt = four.map((dealer, at) => logOf(dealer, round, `seed ${at}`, shares[at], absent));
  const logs = dealt.flatMap(({ log }, at): VerifiedLog[] => {
    const key = four[at]?.self.publicKey ?? new Uint8Array(0);
    const read = log && four[0]?.readLog(round, key, log);
    return read === undefined ? [] : [read];
  });
  const outcome = four[0]?.combine(round, logs);
  if (outcome === undefined) throw new Error('no outcome');
  const results = four.map((player, at) => {
    const parts = dealt.map(({ deal }, by) => {
      const dealer = four[by] ?? player;
      return [participantName(dealer.self.publicKey), partOf(player, dealer, round, deal)] as const;
    });
    const kept = parts.flatMap(([name, part]) =>
      part && !absent.includes(at) ? [[name, part] as const] : [],
    );
    return player.share(round, outcome, new Map(kept));
  });
  return { outcome, shares: results };
}

const present = (shares: readonly (Share | undefined)[]): Share[] =>
  shares.filter((share) => share !== undefined);

describe('Feldman secret sharing', () => {
  it('quorums follow n ≥ 3 f + 1', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 10].map(maxFaults)).toEqual([0, 0, 0, 1, 1, 1, 2, 3]);
    expect([1, 4, 7, 10].map(quorum)).toEqual([1, 3, 5, 7]);
  });

  it('values of a polynomial match its commitment, other values do not', () => {
    const polynomial = [1n, 2n, 3n].map((n) =>
      scalarField.fromUniformBytes(new Uint8Array(64).fill(Number(n))),
    );
    const commitment = Commitment.to(polynomial);
    for (const index of [1, 2, 3, 1000]) {
      expect(commitment.holds(index, evaluate(polynomial, index))).toBe(true);
      expect(commitment.holds(index, scalarField.add(evaluate(polynomial, index), 1n))).toBe(false);
      expect(commitment.holds(index + 1, evaluate(polynomial, index))).toBe(false);
    }
    const bytes = commitment.toBytes();
    expect(Commitment.tryFromBytes(bytes, 3)?.toBytes()).toEqual(bytes);
    expect(Commitment.tryFromBytes(bytes, 2)).toBeUndefined();
    expect(Commitment.tryFromBytes(new Uint8Array(96).fill(0xff), 3)).toBeUndefined();
  });

  it('any quorum of points gives the constant term', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 1024 }), { minLength: 3, maxLength: 6 }),
        (indices) => {
          const polynomial = [7n, 11n, 13n];
          const value = indices.reduce(
            (sum, index) =>
              scalarField.add(
                sum,
                scalarField.multiply(evaluate(polynomial, index), lagrangeAtZero(index, indices)),
              ),
            0n,
          );
          expect(value).toBe(7n);
        },
      ),
      { numRuns: 50 },
    );
    expect(() => lagrangeAtZero(1, [1, 1])).toThrow(RangeError);
    expect(() => lagrangeAtZero(1, [1, 0])).toThrow(RangeError);
  });

  it('each scalar and each element has one encoding', () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const bytes = new Uint8Array(Buffer.from(order.toString(16).padStart(64, '0'), 'hex').reverse());
    expect(scalarField.tryFromBytes(bytes)).toBeUndefined();
    expect(scalarField.tryFromBytes(new Uint8Array(31))).toBeUndefined();
    expect(() => scalarField.fromUniformBytes(new Uint8Array(32))).toThrow(RangeError);
    // RFC 9496 appendix A.1: the generator and its double; appendix A.2: a non-canonical field element.
    const generator = 'e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76';
    const double = '6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919';
    expect(Buffer.from(GroupElement.ofScalar(1n).toBytes()).toString('hex')).toBe(generator);
    expect(Buffer.from(GroupElement.ofScalar(1n).timesPublic(2n).toBytes()).toString('hex')).toBe(double);
    expect(GroupElement.tryFromBytes(Uint8Array.of(0, ...new Uint8Array(31).fill(0xff)))).toBeUndefined();
    expect(GroupElement.tryFromBytes(new Uint8Array(33))).toBeUndefined();
    expect(GroupElement.ofScalar(0n).equals(GroupElement.identity)).toBe(true);
  });

  it('a first round gives every player a share of one secret that no member chose', () => {
    const { outcome, shares } = run(roundOf(four, 0), []);
    const all = present(shares);
    expect(all).toHaveLength(4);
    const { commitment } = decodeOutput(outcome.output);
    const secret = secretFrom(all.slice(0, 3));
    expect(secretFrom(all.slice(1))).toBe(secret);
    expect(GroupElement.ofScalar(secret).equals(commitment.constant)).toBe(true);
    expect(secretFrom(all.slice(0, 2))).not.toBe(secret);
  });

  it('resharing keeps the secret and changes every share; a revealed part serves an absent player', () => {
    const first = run(roundOf(four, 0), []);
    const second = run(roundOf(four, 1, first.outcome.output), first.shares, [2]);
    expect(present(second.shares)).toHaveLength(4);
    expect(secretFrom(present(second.shares).slice(0, 3))).toBe(secretFrom(present(first.shares).slice(1)));
    expect(decodeOutput(second.outcome.output).commitment.constant.toBytes()).toEqual(
      decodeOutput(first.outcome.output).commitment.constant.toBytes(),
    );
    for (const [at, share] of second.shares.entries())
      expect(share?.scalar.reveal()).not.toEqual(first.shares[at]?.scalar.reveal());
  });

  it('a log with more than f revealed parts is neither made nor read', () => {
    const round = roundOf(four, 0);
    const [dealer] = four;
    if (dealer === undefined) throw new Error('no dealer');
    expect(logOf(dealer, round, 's', undefined, [1]).log).toBeDefined();
    expect(logOf(dealer, round, 's', undefined, [1, 2]).log).toBeUndefined();
  });

  it('too few logs give no outcome, and one dealer counts once', () => {
    const round = roundOf(four, 0);
    const logs = four.slice(0, 2).flatMap((dealer, at): VerifiedLog[] => {
      const { log } = logOf(dealer, round, `seed ${at}`);
      const read = log && dealer.readLog(round, dealer.self.publicKey, log);
      return read ? [read, read] : [];
    });
    expect(logs).toHaveLength(4);
    expect(four[0]?.combine(round, logs)).toBeUndefined();
  });

  it('every flipped byte of a dealing or a log, and every other round, is refused', () => {
    const round = roundOf(four, 0);
    const [dealer, player] = four;
    if (dealer === undefined || player === undefined) throw new Error('no members');
    const key = dealer.self.publicKey;
    const { deal, log } = logOf(dealer, round, 's', undefined, [3]);
    if (log === undefined) throw new Error('no log');
    expect(player.readLog(round, key, log)).toBeDefined();
    const flip = (bytes: Uint8Array, at: number) =>
      bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
    for (let at = 0; at < log.length; at++) expect(player.readLog(round, key, flip(log, at))).toBeUndefined();
    for (let end = 0; end < log.length; end += 7)
      expect(player.readLog(round, key, log.subarray(0, end))).toBeUndefined();
    for (let at = 0; at < deal.publicMessage.length; at++)
      expect(player.checkPublic(round, key, flip(deal.publicMessage, at))).toBe(false);
    const sealed = deal.sealed.get(participantName(player.self.publicKey)) ?? new Uint8Array(0);
    expect(sealed).toHaveLength(32 + 32 + 16);
    for (let at = 0; at < sealed.length; at++)
      expect(player.open(round, key, deal.publicMessage, flip(sealed, at))).toBeUndefined();
    const others = [roundOf(four, 1), { ...round, network: 'other' }, roundOf(four.slice(0, 3), 0)];
    for (const other of others) {
      expect(player.checkPublic(other, key, deal.publicMessage)).toBe(false);
      expect(player.readLog(other, key, log)).toBeUndefined();
    }
    expect(player.readLog(round, player.self.publicKey, log)).toBeUndefined();
  });

  it('a part of another player, or a part that does not match the commitment, is refused', () => {
    const round = roundOf(four, 0);
    const [dealer, player, other] = four;
    if (!dealer || !player || !other) throw new Error('no members');
    const key = dealer.self.publicKey;
    const deal = dealer.deal(round, secretOf('s'));
    const different = dealer.deal(round, secretOf('t'));
    const sealedFor = (of: Deal, whom: FeldmanScheme) =>
      of.sealed.get(participantName(whom.self.publicKey)) ?? new Uint8Array(0);
    expect(player.open(round, key, deal.publicMessage, sealedFor(deal, player))).toBeDefined();
    expect(player.open(round, key, deal.publicMessage, sealedFor(deal, other))).toBeUndefined();
    expect(player.open(round, key, deal.publicMessage, sealedFor(different, player))).toBeUndefined();
  });

  it('a dealer that reshares must deal its own share', () => {
    const first = run(roundOf(four, 0), []);
    const round = roundOf(four, 1, first.outcome.output);
    const [dealer, player] = four;
    if (!dealer || !player) throw new Error('no members');
    const mine = dealer.deal(round, secretOf('s'), first.shares[0]);
    const foreign = dealer.deal(round, secretOf('s'), first.shares[1]);
    expect(player.checkPublic(round, dealer.self.publicKey, mine.publicMessage)).toBe(true);
    expect(player.checkPublic(round, dealer.self.publicKey, foreign.publicMessage)).toBe(false);
    expect(() => dealer.deal(round, secretOf('s'))).toThrow(TypeError);
  });

  it('rounds without members, rounds with a repeated member, and malformed outputs are refused', () => {
    const [scheme] = four;
    if (!scheme) throw new Error('no members');
    const round = roundOf(four, 0);
    expect(() => scheme.checkPublic({ ...round, players: [] }, bytesOf('d'), new Uint8Array(160))).toThrow(
      RangeError,
    );
    const twice = [...round.dealers, ...round.dealers];
    expect(() => scheme.checkPublic({ ...round, dealers: twice }, bytesOf('d'), bytesOf('m'))).toThrow(
      RangeError,
    );
    const { output } = run(round, []).outcome;
    const malformed = expect.objectContaining({ code: 'EPOCH_ENCODING' });
    for (let end = 0; end < output.length; end++)
      expect(() => decodeOutput(output.subarray(0, end))).toThrow(malformed);
    const unordered = Uint8Array.from([2, ...new Uint8Array(64), ...output.subarray(-64)]);
    expect(() => decodeOutput(unordered)).toThrow(malformed);
    expect(() => decodeOutput(Uint8Array.of(0))).toThrow(malformed);
  });
});
