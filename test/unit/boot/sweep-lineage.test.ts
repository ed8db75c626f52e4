import { expect, it } from 'vitest';
import { sweepLineage } from '../../../src/boot/heal/take-hold.ts';
import { AccountHold } from '../../../src/boot/node/account-hold.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import type { ServerVetter } from '../../../src/boot/obtain/vet-server.ts';
import type { PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import type { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { u64BigEndian } from '../../../src/bytes/integers.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import { bootOf, lineageOf } from '../../support/lineages.ts';

const accountOf = (number: number) => {
  const bytes = new Uint8Array(32);
  bytes.set(u64BigEndian(number));
  return AccountId.of(bytes);
};
const numberOf = ({ account }: Pick<PeerRecord, 'account'>) =>
  Number(new DataView(account.buffer, account.byteOffset).getBigUint64(0));

const never = new Promise<void>(() => undefined);

/** What the caller and its servers do. */
interface Surroundings {
  /** The caller ends when the first registration is verified. */
  readonly isOver?: boolean;
  /** No server answers, and once all were asked a wait of up to five seconds is over. */
  readonly isSilent?: boolean;
}

/** Sweeps over a chain of `count` servers; a slot of the node is at the last one. */
async function sweepOver(
  count: number,
  platformOf: (number: number) => string | undefined,
  { isOver = false, isSilent = false }: Surroundings = {},
) {
  const asked: number[] = [];
  const examined: number[] = [];
  let turns = 0;
  const turnsAt: number[] = [];
  const turn = () => {
    turns++;
    if (!isDone) setImmediate(turn);
  };
  let isDone = false;
  const stop = new AbortController();
  const vetter = {
    platformOf: (record: PeerRecord) => {
      // A verification takes its time.
      for (const until = performance.now() + 1; performance.now() < until; );
      examined.push(numberOf(record));
      turnsAt.push(turns);
      if (isOver) stop.abort();
      return platformOf(numberOf(record));
    },
  };
  const client = {
    lineageStatus: async (record: PeerRecord) => {
      asked.push(numberOf(record));
      if (isSilent) await never;
      throw new Error('it knows nothing');
    },
  };
  const tools = {
    client: client as unknown as PeerClient,
    vetter: vetter as unknown as ServerVetter,
    clock: {
      nowMs: () => 0,
      sleep: async (milliseconds: number) => {
        if (!isSilent || milliseconds > 5_000) await never;
        while (asked.length < count) await new Promise<void>((resolve) => setImmediate(resolve));
      },
    },
  };
  const node = {
    hold: AccountHold.ofNewLineage(lineageOf(1), bootOf(1)),
    identity: { account: accountOf(0) },
    book: { slots: () => [{ slot: { server: accountOf(count) } }] },
  } as unknown as OpenNode;
  const servers = Array.from({ length: count + 1 }, (_, number) => ({ account: accountOf(number) }));
  setImmediate(turn);
  await sweepLineage(tools, node, { servers } as unknown as ChainSnapshot, stop.signal).catch(
    () => undefined,
  );
  isDone = true;
  return { asked, examined, turnsAt };
}

/** Each server runs on a platform of its own. */
const own = (number: number) => `platform ${number}`;

it('asks the servers with a slot first, then the others, never itself, and none that proves no machine', async () => {
  const { asked } = await sweepOver(6, (number) => (number === 3 ? undefined : own(number)));
  expect(asked).toEqual([6, 1, 2, 4, 5]);
});

it('other work goes on while the registrations of a long chain are verified', async () => {
  const { examined, turnsAt } = await sweepOver(60, () => undefined);
  expect(examined).toHaveLength(60);
  expect(turnsAt.at(-1)).toBeGreaterThan(3);
});

it('verifies no more registrations than it asks servers', async () => {
  const { asked, examined } = await sweepOver(300, own);
  expect([asked.length, examined.length]).toEqual([256, 256]);
});

it('asks a server after hundreds of accounts that one machine registered: it may know of a newer instance', async () => {
  const { asked } = await sweepOver(400, (number) => (number < 390 ? 'of the enemy' : own(number)));
  const honest = Array.from({ length: 11 }, (_one, at) => 390 + at);
  expect(asked).toEqual(expect.arrayContaining(honest));
  // The rest of the places is for the others, in their order.
  expect(asked).toHaveLength(256);
  expect(asked.filter((number) => number < 390)).toEqual(Array.from({ length: 245 }, (_one, at) => at + 1));
});

it('ends with its caller, however long the chain is', async () => {
  const { examined } = await sweepOver(60, own, { isOver: true });
  expect(examined).toEqual([60]);
});

it('waits five seconds for servers that are silent, and no longer', async () => {
  const { asked } = await sweepOver(3, own, { isSilent: true });
  expect(asked).toEqual([3, 1, 2]);
});
