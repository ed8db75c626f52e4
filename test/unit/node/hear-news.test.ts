import { beforeEach, describe, expect, it } from 'vitest';
import { InstanceId } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { NewsAnswers } from '../../../src/node/hear-news.ts';
import { clientAccount } from '../../support/protocol-client.ts';
import { codeOf } from '../../support/thrown.ts';

const server = clientAccount(1);
const node = {
  book: { slots: () => [] },
  identity: { account: clientAccount(2), accountSeed: new SecretBytes(new Uint8Array(32).fill(4)) },
  // The answers need no more of an open node.
} as unknown as Parameters<NewsAnswers['hear']>[0];
const instance = (number: number) => InstanceId.of(new Uint8Array(16).fill(number));

let nowMs = 0;
let isKnown: boolean;
let answers: NewsAnswers;
beforeEach(() => {
  nowMs = 1_000_000;
  isKnown = true;
  answers = new NewsAnswers({ records: { hasBeenRegistered: () => isKnown }, now: () => nowMs });
});

/** Asks with `count` different instance ids or nonces; returns the code of each answer. */
const flood = (
  count: number,
  about: 'instanceId' | 'nonce',
  addressOf: (number: number) => string | undefined = (number) => `192.0.2.${number % 30}`,
): readonly string[] =>
  Array.from({ length: count }, (_, number) =>
    codeOf(() => answers.hear(node, { server, [about]: instance(number) } as never, addressOf(number))),
  );

const signed = (outcomes: readonly string[]): number => outcomes.filter((code) => code === 'none').length;

describe('signed answers to unauthenticated hints', () => {
  it.each(['instanceId', 'nonce'] as const)('a flood of %ss gets a bounded number of signatures', (about) => {
    const outcomes = flood(60, about);
    expect(signed(outcomes)).toBe(20);
    expect(outcomes.at(-1)).toBe('RATE_LIMITED');
    nowMs += 1_000;
    expect(signed(flood(60, about).slice(20))).toBe(5);
  });

  it.each([
    ['one IPv4 address', () => '192.0.2.1'],
    [
      'one IPv4 address, written as an IPv6 address too',
      (n: number) => ['192.0.2.1', '::ffff:192.0.2.1'][n % 2],
    ],
    ['all addresses of one IPv6 /64', (n: number) => `2001:db8:0:1::${n.toString(16)}`],
    ['connections without an address', () => undefined],
  ])('a flood from %s leaves signatures for others', (_name, addressOf) => {
    const outcomes = flood(60, 'nonce', addressOf);
    expect(signed(outcomes)).toBe(5);
    expect(outcomes.at(-1)).toBe('RATE_LIMITED');
    expect(signed(flood(1, 'instanceId', () => '198.51.100.7'))).toBe(1);
    nowMs += 10_000;
    // Five are remembered, and five are new.
    expect(signed(flood(60, 'nonce', addressOf))).toBe(10);
  });

  it('a flood from the many networks of one IPv6 /48 leaves signatures for others', () => {
    expect(signed(flood(60, 'nonce', (number) => `2001:db8:1:${number.toString(16)}::1`))).toBe(10);
    expect(signed(flood(1, 'instanceId', () => '2001:db8:2::1'))).toBe(1);
  });

  it('what a full share refuses costs the others nothing', () => {
    flood(1_000, 'nonce', () => '192.0.2.1');
    expect(signed(flood(60, 'instanceId', (number) => `198.51.100.${number}`))).toBe(15);
  });

  it('hints about restarts and drains share the bound', () => {
    flood(20, 'nonce');
    expect(flood(1, 'instanceId')).toEqual(['RATE_LIMITED']);
  });

  it('the same hint gets the same cached signature', () => {
    const first = answers.hear(node, { server, instanceId: instance(1) }, '192.0.2.1');
    const repeated = Array.from({ length: 100 }, () =>
      answers.hear(node, { server, instanceId: instance(1) }, '192.0.2.1'),
    );
    for (const again of repeated) expect(again).toEqual(first);
    // sr25519 draws a nonce for every signature, so an equal signature was remembered.
    const other = new NewsAnswers({ records: { hasBeenRegistered: () => true }, now: () => nowMs });
    expect(other.hear(node, { server, instanceId: instance(1) }, '192.0.2.1')).not.toEqual(first);
  });

  it('a hint about an account that never had a record gets no signature', () => {
    isKnown = false;
    expect(flood(1, 'instanceId')).toEqual(['SERVER_UNREGISTERED']);
    expect(flood(1, 'nonce')).toEqual(['SERVER_UNREGISTERED']);
  });
});
