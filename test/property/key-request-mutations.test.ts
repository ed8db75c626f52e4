import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type KeyServerWorld, keyServerWorld } from '../support/key-server-fixture.ts';
import { type Attempt, newSlotId, ProtocolClient } from '../support/protocol-client.ts';

let world: KeyServerWorld;
let attempt: Attempt;
let text: string;

beforeAll(async () => {
  world = keyServerWorld();
  attempt = await new ProtocolClient(world).prepare({ intent: 'create', slotId: newSlotId() });
  text = JSON.stringify(attempt.body);
});

/** Sends a mutated request: the server must not fail, and must not make a key for it. */
async function expectHarmless(spoiled: string): Promise<void> {
  const reply = await world.send('POST', '/request-encryption-key', spoiled);
  if (reply.status === 200) {
    // Another spelling of the same request, such as upper-case hex: its answer is for the same key holder.
    expect(normalized(JSON.parse(spoiled))).toEqual(normalized(attempt.body));
    for (const { account, slotId } of [...world.vault.keys()]) world.vault.forget(account, slotId);
    return;
  }
  expect(reply.status).toBeGreaterThanOrEqual(400);
  expect(reply.status).toBeLessThan(500);
  expect(reply.headers.get('content-type')).toBe('application/problem+json');
  expect(world.vault.size).toBe(0);
}

function normalized(body: unknown): unknown {
  const { quote, ...rest } = body as Record<string, unknown>;
  return { quote, rest: JSON.stringify(rest, Object.keys(rest).sort()).toLowerCase() };
}

const asciiByte = fc.integer({ min: 0x20, max: 0x7e });

describe('a valid request with a mutation', () => {
  it('in some of its characters is refused, or gives the key of the same request', async () => {
    // Most of the text is the quote; every other edit goes into the rest.
    const place = fc.oneof(fc.nat(text.length - 1), fc.nat(Math.min(700, text.length - 1)));
    const edit = fc.tuple(place, asciiByte, fc.constantFrom('replace', 'insert', 'delete'));
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
        let spoiled = text;
        for (const [at, code, kind] of edits) {
          const rest = spoiled.slice(kind === 'insert' ? at : at + 1);
          spoiled = spoiled.slice(0, at) + (kind === 'delete' ? '' : String.fromCharCode(code)) + rest;
        }
        if (spoiled !== text) await expectHarmless(spoiled);
      }),
      { numRuns: 250 },
    );
  });

  it('K2 in one of its values is refused, or gives the key of the same request', async () => {
    const fields = Object.keys(attempt.body);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...fields), fc.jsonValue({ maxDepth: 3 }), async (field, value) => {
        await expectHarmless(JSON.stringify({ ...attempt.body, [field]: value }));
      }),
      { numRuns: 150 },
    );
  });

  it('K4 in any bit of its quote is refused, and no key is made', async () => {
    const quote = Buffer.from(String(attempt.body['quote']), 'base64');
    await fc.assert(
      fc.asyncProperty(fc.nat(quote.length * 8 - 1), async (bit) => {
        const flipped = Buffer.from(quote);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const reply = await world.send('POST', '/request-encryption-key', {
          ...attempt.body,
          quote: flipped.toString('base64'),
        });
        expect(reply.status).toBeGreaterThanOrEqual(400);
        expect(reply.status).toBeLessThan(500);
        expect(world.vault.size).toBe(0);
      }),
      { numRuns: 250 },
    );
  });
});
