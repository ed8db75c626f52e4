import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AccountId } from '../../src/bytes/fixed-bytes.ts';
import { KeyId } from '../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { confirmSlot, withdrawSlot } from '../../src/keyslots/generations.ts';
import { decodeKeyslotFile, encodeKeyslotFile } from '../../src/keyslots/keyslot-codec.ts';
import type { KeyslotFile } from '../../src/keyslots/keyslot-file.ts';
import { RecoveryAttempt, type SlotAnswer, type SlotVerdict } from '../../src/keyslots/recovery-attempt.ts';
import { openSlot, sealSlot } from '../../src/keyslots/slot-seal.ts';
import { answerOf, type Enrolment, enrol, fileOf, identity } from '../support/keyslot-fixtures.ts';

/** What a server does when it is asked. */
const behaviours = ['good', 'silent', 'forgot', 'wrong key', 'wrong share'] as const;
type Behaviour = (typeof behaviours)[number];

const verdictOf: Readonly<Record<Behaviour, SlotVerdict | undefined>> = {
  good: 'opened',
  'wrong share': 'opened',
  forgot: 'other-key',
  'wrong key': 'wrong-key',
  silent: undefined,
};

const network = fc
  .record({ t: fc.integer({ min: 2, max: 5 }), more: fc.integer({ min: 0, max: 4 }) })
  .chain(({ t, more }) =>
    fc.record({
      t: fc.constant(t),
      behaviours: fc.array(fc.constantFrom(...behaviours), { minLength: t + more, maxLength: t + more }),
      order: fc.shuffledSubarray(
        Array.from({ length: t + more }, (_, index) => index),
        { minLength: t + more },
      ),
    }),
  );

/** Rewrites the slots of servers that gave a wrong share when they enrolled; the MAC is the owner's. */
function withWrongShares(made: Enrolment, wrong: (index: number) => boolean): KeyslotFile {
  const { generation, servers, storeKey } = made;
  const slots = generation.slots.map((slot) => {
    const server = servers[slot.index];
    if (server === undefined || !wrong(slot.index)) return slot;
    const binding = { ...identity, ...generation, ...slot };
    const share = openSlot(server.key, binding, slot.sealed) ?? new Uint8Array(33);
    // Independent errors: two liars with the same one can cancel each other out by chance, and give the right key.
    const error = systemRandom(32);
    const other = share.map((byte, at) => byte ^ (error[at] ?? 0));
    return { ...slot, sealed: sealSlot(server.key, binding, other, systemRandom) };
  });
  const changed: KeyslotFile = { ...identity, generations: [{ ...generation, slots }] };
  const [slot] = slots;
  if (slot === undefined) return changed;
  return withdrawSlot(confirmSlot(changed, storeKey, slot.slotId, slot.instanceId), storeKey, slot.slotId);
}

function answer(made: Enrolment, index: number, behaviour: Behaviour): SlotAnswer | undefined {
  const server = made.servers[index];
  if (server === undefined || behaviour === 'silent') return undefined;
  const honest = answerOf(server);
  const key = new SecretBytes(systemRandom(32));
  if (behaviour === 'forgot') return { ...honest, key, keyId: KeyId.of(systemRandom(16)) };
  return behaviour === 'wrong key' ? { ...honest, key } : honest;
}

const hexes = (accounts: readonly AccountId[]): string[] => accounts.map(toHex).sort();

describe('recovery', () => {
  it('opens exactly when t good servers answered, with the right key, and names every lying server', async () => {
    await fc.assert(
      fc.asyncProperty(network, async ({ t, behaviours: acts, order }) => {
        const made = await enrol({ t, n: acts.length });
        const attempt = new RecoveryAttempt(
          withWrongShares(made, (index) => acts[index] === 'wrong share'),
          2,
        );
        let good = 0;
        for (const index of order) {
          const act = acts[index] ?? 'silent';
          const given = answer(made, index, act);
          if (given === undefined) continue;
          expect(attempt.offer(given)).toBe(verdictOf[act]);
          if (act === 'good') good += 1;
          expect((await attempt.tryOpen()) !== undefined).toBe(good >= t);
        }
        const recovered = await attempt.tryOpen();
        if (good < t) return;
        expect(recovered?.storeKey.equals(made.storeKey)).toBe(true);
        const liars = made.servers.filter((_, index) => acts[index] === 'wrong share');
        expect(hexes(recovered?.outsiders ?? [])).toEqual(hexes(liars.map(({ server }) => server)));
      }),
      { numRuns: 100 },
    );
  });

  it('a file with a changed byte is refused, or opens the same key', async () => {
    const made = await enrol({ t: 2, n: 3 });
    const bytes = encodeKeyslotFile(fileOf(made));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const damaged = Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ change : byte));
        let file: KeyslotFile;
        try {
          file = decodeKeyslotFile(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(LatchkeyError);
          return;
        }
        const attempt = new RecoveryAttempt(file, 2);
        for (const server of made.servers) attempt.offer(answerOf(server));
        expect(await attempt.tryOpen()).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it('random bytes are refused with a typed error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => new TextEncoder().encode(text)),
        ),
        (bytes) => {
          expect(() => decodeKeyslotFile(bytes)).toThrow(
            expect.objectContaining({ code: 'KEYSLOT_FILE_MALFORMED' }),
          );
        },
      ),
    );
  });
});
