import { describe, expect, it } from 'vitest';
import type { EnrolmentTools } from '../../../src/boot/obtain/enrolment.ts';
import { presentProcessBy } from '../../../src/boot/obtain/present-process.ts';
import type { HeldSlot, PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import type { QuotedRequest } from '../../../src/boot/peer/peer-client.ts';
import { PeerError } from '../../../src/boot/peer/peer-failure.ts';
import { Nonce } from '../../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { ChainSnapshot, ServerRecord } from '../../../src/chain/chain-view.ts';
import { processAt, serverAt } from '../../support/checked-slots.ts';

const account = serverAt(200);
const record = { account: serverAt(1), endpoint: 'h1' } as unknown as ServerRecord;

/** A server that attests one process and gives keys as another one. */
function scene({ attests, grants }: { readonly attests: number; readonly grants: number | PeerError }) {
  const asked: QuotedRequest[] = [];
  const forgotten: { readonly peer: PeerRecord; readonly held: HeldSlot; readonly key: string }[] = [];
  const key = new SecretBytes(new Uint8Array(32).fill(7));
  const recoveryToken = new SecretBytes(new Uint8Array(32).fill(8));
  const tools = {
    client: {
      challenge: async () => Nonce.of(new Uint8Array(32).fill(3)),
      requestKey: async (_peer: PeerRecord, request: QuotedRequest) => {
        asked.push(request);
        if (grants instanceof PeerError) throw grants;
        return { grant: { key, recoveryToken }, instanceId: processAt(grants) };
      },
      forget: async (peer: PeerRecord, held: HeldSlot) => {
        forgotten.push({ peer, held, key: Buffer.from(held.key.reveal()).toString('hex') });
      },
    },
    vetter: { instanceOf: async () => processAt(attests) },
    quotes: { quote: async () => new Uint8Array(10) },
    clock: { nowMs: () => 0, sleep: async () => undefined },
    random: (length: number) => new Uint8Array(length).fill(9),
  } as unknown as EnrolmentTools;
  const snapshot = { servers: [record] } as unknown as ChainSnapshot;
  const known = [processAt(1), processAt(2)];
  const { signal } = new AbortController();
  const present = () => presentProcessBy(tools)({ record, account, known, snapshot, signal });
  return { asked, forgotten, key, recoveryToken, present };
}

describe('the process that a server is now', () => {
  it.each([1, 2])('is one that issued a slot, as it attests: no key is asked for (%i)', async (attests) => {
    const { asked, present } = scene({ attests, grants: 3 });
    expect(await present()).toEqual(processAt(attests));
    expect(asked).toEqual([]);
  });

  it('is the one that gives a key, where an attestation, which may be an old one, names another', async () => {
    const { asked, present } = scene({ attests: 5, grants: 2 });
    expect(await present()).toEqual(processAt(2));
    expect(asked.map(({ intent, servers }) => [intent, servers.length])).toEqual([['create', 1]]);
    expect(await scene({ attests: 5, grants: 5 }).present()).toEqual(processAt(5));
  });

  it('is not known where it gives no key', async () => {
    const grants = new PeerError({ kind: 'refused', code: 'SERVER_DRAINING', detail: 'x' });
    const { present } = scene({ attests: 5, grants });
    await expect(present()).rejects.toMatchObject({ failure: { code: 'SERVER_DRAINING' } });
  });

  it('is asked for without leaving a key behind, there or here', async () => {
    const { asked, forgotten, key, recoveryToken, present } = scene({ attests: 5, grants: 6 });
    await present();
    expect(forgotten).toMatchObject([{ peer: record, held: { account }, key: '07'.repeat(32) }]);
    expect(forgotten[0]?.held.slotId).toEqual(asked[0]?.servers[0]?.slotId);
    await new Promise((resolve) => setImmediate(resolve));
    expect(() => key.reveal()).toThrow();
    expect(() => recoveryToken.reveal()).toThrow();
  });
});
