import { beforeEach, describe, expect, it, vi } from 'vitest';
import { PeerClient } from '../../../src/boot/peer-client.ts';
import { RecentNames } from '../../../src/boot/recent-names.ts';
import { ServerVetter } from '../../../src/boot/vet-server.ts';
import { AccountId, Nonce, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import type { ServerRecord } from '../../../src/chain/chain-view.ts';
import { registrationReportData } from '../../../src/trust/registration.ts';
import { countingRandom, type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';

const NEVER = new AbortController().signal;
const MINUTE = 60_000;
const nonce = Nonce.of(new Uint8Array(32));

let world: KeyServerWorld;
let vetter: ServerVetter;
let attestations: number;
let verifications: () => number;

beforeEach(() => {
  world = keyServerWorld();
  attestations = 0;
  const verify = vi.spyOn(world.verifier, 'verifyChainOnly');
  verifications = () => verify.mock.calls.length;
  const transport = {
    async send(_endpoint: string, path: string) {
      attestations++;
      const { status, json } = await world.send('GET', path);
      return { status, body: json };
    },
  };
  vetter = new ServerVetter({
    verifier: world.verifier,
    evidenceVerifier: world.evidenceVerifier,
    judge: world.judge,
    client: new PeerClient({ transport, clock: world.clock, random: countingRandom(9) }),
    clock: world.clock,
    bounds: { maxAgeMs: 10 * MINUTE, blockTimeMs: 6_000 },
  });
});

/** The server's record, as it registered itself. */
async function registered(): Promise<ServerRecord> {
  const { json } = await world.send('GET', '/attestation');
  const x25519PublicKey = X25519PublicKey.parse(String(json['x25519PublicKey']), 'x25519PublicKey');
  const reportData = registrationReportData(world.account, x25519PublicKey, 0, nonce);
  return {
    stash: world.account,
    account: world.account,
    x25519PublicKey,
    endpoint: '127.0.0.1:1',
    quote: world.quote({ reportData }),
    active: true,
    signer: false,
  };
}

describe('a server that was found good', () => {
  it('is not asked again for thirty seconds', async () => {
    const record = await registered();
    const snapshot = await world.chain.snapshot();
    await vetter.vet(record, snapshot, NEVER);
    await world.clock.advance(29_999);
    await vetter.vet(record, snapshot, NEVER);
    expect(attestations).toBe(1);
    await world.clock.advance(1);
    await vetter.vet(record, snapshot, NEVER);
    expect(attestations).toBe(2);
  });

  it('is asked again when the clock was set back, however short the while', async () => {
    const record = await registered();
    const snapshot = await world.chain.snapshot();
    await vetter.vet(record, snapshot, NEVER);
    await world.clock.advance(-60 * MINUTE);
    await vetter.vet(record, snapshot, NEVER);
    expect(attestations).toBe(2);
  });
});

describe('a registered quote', () => {
  it('that is genuine and of another account costs no verification of signatures', async () => {
    const record = await registered();
    const others = Array.from({ length: 20 }, (_, at) => AccountId.of(seededBytes(at + 1, 32)));
    for (const account of others) expect(vetter.platformOf({ ...record, account })).toBeUndefined();
    expect(verifications()).toBe(0);
    expect(vetter.platformOf(record)).toMatch(/^[0-9a-f]{32}$/);
  });

  it('that is not genuine is verified once in ten minutes', async () => {
    const record = await registered();
    const forged = { ...record, quote: record.quote.slice() };
    // In the header, which the signature covers and nothing else looks at.
    forged.quote[30] = (forged.quote[30] ?? 0) ^ 1;
    for (let walk = 0; walk < 5; walk++) expect(vetter.platformOf(forged)).toBeUndefined();
    expect(verifications()).toBe(1);
    await world.clock.advance(10 * MINUTE);
    expect(vetter.platformOf(forged)).toBeUndefined();
    expect(verifications()).toBe(2);
  });

  it('that a wrong clock refused is accepted once the clock is right', async () => {
    const record = await registered();
    const right = world.clock.nowMs();
    for (const wrong of [0, right + 100 * 365 * 86_400_000]) {
      await world.clock.to(wrong);
      const elsewhere = {
        ...record,
        quote: Uint8Array.of(...record.quote, ...new Uint8Array(wrong === 0 ? 1 : 2)),
      };
      expect(vetter.platformOf(elsewhere)).toBeUndefined();
      await world.clock.to(right);
      expect(vetter.platformOf(elsewhere)).toBeDefined();
    }
  });
});

describe('names that count for a while', () => {
  it('are no more than fit: the oldest goes', () => {
    const names = new RecentNames({ forMs: 10, capacity: 2 });
    for (const name of ['a', 'b', 'a', 'c']) names.add(name, 0);
    expect(['a', 'b', 'c'].filter((name) => names.has(name, 5))).toEqual(['a', 'c']);
  });
});
