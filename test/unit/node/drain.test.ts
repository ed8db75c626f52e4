import { beforeEach, describe, expect, it } from 'vitest';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { parsePrefixedHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { ServerRecord } from '../../../src/chain/chain-view.ts';
import { sr25519PublicKey } from '../../../src/crypto/sr25519.ts';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { Drain } from '../../../src/node/drain.ts';
import { signNotEnrolled } from '../../../src/protocol/not-enrolled.ts';
import { countingRandom, type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';
import { lineageKeyNumber, newSlotId, ProtocolClient } from '../../support/protocol-client.ts';
import { seededBytes } from '../../support/seeded-bytes.ts';

const accountSeed = new SecretBytes(seededBytes(41, 32));
const account = AccountId.of(sr25519PublicKey(accountSeed.reveal()));
const record: ServerRecord = {
  account,
  stash: account,
  x25519PublicKey: keyServerWorld().keyServer.identity.x25519PublicKey,
  endpoint: '10.0.0.9:3001',
  quote: new Uint8Array(0),
  active: true,
  signer: false,
};

let world: KeyServerWorld;
let drain: Drain;
let events: string[];
/** What the client, or the network in its place, answers to a nonce. */
let answer: (nonce: string) => unknown;
let asked: string[];

beforeEach(() => {
  world = keyServerWorld();
  events = [];
  asked = [];
  answer = () => ({ enrolled: true });
  const log = (_level: string, event: string): number => events.push(event);
  drain = new Drain({ vault: world.vault, log, clock: world.clock });
});

const signature = (nonce: string): string =>
  toPrefixedHex(
    signNotEnrolled(accountSeed, {
      client: account,
      server: world.account,
      nonce: parsePrefixedHex(nonce, 16, 'nonce'),
    }),
  );

/** Gets a confirmed key and calls `drain.served`, because `onServed` of the fixture's server has no listener. */
async function enrol(): Promise<{ readonly forget: () => Promise<void> }> {
  const client = new ProtocolClient(world, account);
  const slotId = newSlotId();
  const { key } = await client.obtain({ intent: 'create', slotId });
  await client.link({ slotId, key }, lineageKeyNumber(1), { confirm: true });
  drain.served(account);
  const forget = async () => {
    await client.forget({ slotId, key });
    if (!world.vault.holdsKeyOf(account)) drain.forgotten(account);
  };
  return { forget };
}

/** Lets the drain tell its clients for so long, every 2 s at first. */
async function tellFor(
  milliseconds: number,
  servers: readonly ServerRecord[] | 'unreadable' = [record],
): Promise<void> {
  const client = new PeerClient({
    transport: {
      send: async (endpoint, path, body) => {
        expect([endpoint, path]).toEqual([record.endpoint, '/server-draining']);
        const { nonce } = body as { nonce: string };
        asked.push(nonce);
        return { status: 200, body: answer(nonce) };
      },
    },
    clock: world.clock,
    random: countingRandom(3),
  });
  const stop = new AbortController();
  const snapshot = async () => {
    if (servers === 'unreadable') throw new ProblemError('CHAIN_UNAVAILABLE', 'no endpoint answers');
    return { ...(await world.chain.snapshot()), servers };
  };
  const running = drain.run(client, world.account, snapshot, stop.signal);
  const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
  await settle();
  for (let passedMs = 0; passedMs < milliseconds; passedMs += 1_000) {
    await world.clock.advance(1_000);
    await settle();
  }
  stop.abort();
  await running;
}

describe('a drain', () => {
  it('starts once and ends once, and the vault changes its state with it', async () => {
    await enrol();
    expect([drain.progress(), world.vault.isDraining]).toEqual([undefined, false]);
    drain.start();
    const begun = drain.progress();
    await world.clock.advance(5_000);
    drain.start();
    expect(drain.progress()).toEqual(begun);
    expect(world.vault.isDraining).toBe(true);
    drain.cancel();
    drain.cancel();
    expect([drain.progress(), world.vault.isDraining]).toEqual([undefined, false]);
    expect(events).toEqual(['drain.started', 'drain.cancelled']);
  });

  it('of a server without clients is complete at once', () => {
    drain.start();
    expect(drain.progress()).toMatchObject({ remaining: 0, moved: 0 });
    expect(events).toEqual(['drain.started', 'drain.done']);
  });

  it('counts clients, not keys, and ignores keys that were not confirmed within an hour', async () => {
    await enrol();
    await enrol();
    await new ProtocolClient(world).obtain({ intent: 'create', slotId: newSlotId() });
    drain.start();
    expect(drain.progress()).toMatchObject({ remaining: 2, moved: 0 });
    await world.clock.advance(3_600_000);
    expect(drain.progress()).toMatchObject({ remaining: 1, moved: 1 });
    expect(drain.remaining()).toEqual([
      { account, endpoint: undefined, keys: 2, isAtRisk: false, standing: 'not told yet', canMove: true },
    ]);
  });

  it('is complete when the last key is forgotten', async () => {
    const { forget } = await enrol();
    drain.start();
    await forget();
    expect(drain.progress()).toMatchObject({ remaining: 0, moved: 1 });
    expect(events).toEqual(['drain.started', 'drain.client-moved', 'drain.done']);
  });

  it('notifies clients repeatedly with growing pauses, each time with another nonce', async () => {
    await enrol();
    drain.start();
    await tellFor(60_000);
    expect(asked.length).toBeGreaterThan(3);
    expect(asked.length).toBeLessThan(8);
    expect(new Set(asked).size).toBe(asked.length);
    expect(drain.remaining()).toMatchObject([{ endpoint: record.endpoint, standing: 'told' }]);
  });

  it('counts an account without a record on the chain separately, and completes without it', async () => {
    await enrol();
    drain.start();
    expect(drain.progress()).toMatchObject({ remaining: 1, unmovable: 0 });
    await tellFor(1_000, []);
    expect(drain.remaining()).toMatchObject([{ standing: 'not on the chain', canMove: false }]);
    expect(drain.progress()).toMatchObject({ remaining: 0, unmovable: 1, moved: 0 });
    expect(events).toContain('drain.done');
    expect(asked).toEqual([]);
  });

  it('counts an account with plain keys only separately, and completes without it', async () => {
    await new ProtocolClient(world).obtain({ intent: 'get-or-create' });
    const { forget } = await enrol();
    drain.start();
    expect(drain.progress()).toMatchObject({ remaining: 1, unmovable: 1 });
    await forget();
    expect(drain.progress()).toMatchObject({ remaining: 0, unmovable: 1, moved: 1 });
    expect(events).toContain('drain.done');
  });

  it('counts no client as unregistered while the chain cannot be read', async () => {
    await enrol();
    drain.start();
    await tellFor(1_000, 'unreadable');
    expect(drain.progress()).toMatchObject({ remaining: 1, unmovable: 0 });
    expect(events).not.toContain('drain.done');
  });

  it('notifies no client before its start and after its end', async () => {
    await enrol();
    await tellFor(5_000);
    drain.start();
    drain.cancel();
    await tellFor(5_000);
    expect(asked).toEqual([]);
  });
});

describe('“I have no slot of yours”', () => {
  it('counts with the client’s signature over the nonce of this request', async () => {
    await enrol();
    drain.start();
    answer = (nonce) => ({ enrolled: false, signature: signature(nonce) });
    await tellFor(1_000);
    expect(drain.progress()).toMatchObject({ remaining: 0, moved: 1 });
    // The statement is only counted: no key is erased because of it.
    expect(world.vault.size).toBe(1);
    expect(events.filter((event) => event === 'drain.done')).toHaveLength(1);
  });

  it('does not count without a signature, with a wrong one, or with one for an earlier nonce', async () => {
    await enrol();
    drain.start();
    const replayed = signature(`0x${'07'.repeat(16)}`);
    const lies = [
      { enrolled: false },
      { enrolled: false, signature: replayed },
      { enrolled: false, signature: `0x${'5a'.repeat(64)}` },
    ];
    answer = () => lies[asked.length % lies.length];
    await tellFor(60_000);
    expect(asked.length).toBeGreaterThan(lies.length);
    expect(drain.progress()).toMatchObject({ remaining: 1, moved: 0 });
  });

  it('is ignored when the client confirms a key during the request or later', async () => {
    await enrol();
    drain.start();
    answer = (nonce) => {
      // Its enrolment was under way when it was asked.
      if (asked.length === 1) drain.served(account);
      return { enrolled: asked.length > 1, ...(asked.length > 1 ? {} : { signature: signature(nonce) }) };
    };
    await tellFor(5_000);
    expect(drain.progress()).toMatchObject({ remaining: 1 });
    answer = (nonce) => ({ enrolled: false, signature: signature(nonce) });
    await tellFor(70_000);
    expect(drain.progress()).toMatchObject({ remaining: 0 });
    drain.served(account);
    expect(drain.progress()).toMatchObject({ remaining: 1 });
  });
});
