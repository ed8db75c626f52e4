import { describe, expect, it } from 'vitest';
import type { BootStage } from '../../../src/boot/life/boot-stage.ts';
import { RotationFailed, rotateNode } from '../../../src/boot/life/rotate-store-key.ts';
import { AccountHold } from '../../../src/boot/node/account-hold.ts';
import type { OpenNode } from '../../../src/boot/node/open-node.ts';
import type { PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import { PeerError } from '../../../src/boot/peer/peer-failure.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { processAt, serverAt, slotAt } from '../../support/checked-slots.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';

const lineage = lineageOf(1);

/** What a test changes of a node that could change its store key. */
interface Change {
  readonly hasSlots?: boolean;
  readonly isComplete?: boolean;
  readonly servers?: number;
  readonly minimumThreshold?: number;
  /** How many of its four servers show its mark; the others are silent. */
  readonly showing?: number;
  /** One of them shows a newer mark. */
  readonly isOvertaken?: boolean;
}

/** The code with which a change of the store key ends, and whether a key was asked for. Without a fault it asks for keys. */
async function outcome(change: Change = {}) {
  const { hasSlots = true, isComplete = true, servers = 4, minimumThreshold = 2 } = change;
  const { showing = 4, isOvertaken = false } = change;
  const hold = AccountHold.ofNewLineage(lineage, bootOf(5), 4);
  hold.begin();
  const slots = [1, 2, 3, 4].map((number) => slotAt(number));
  const newest = hasSlots ? { generation: 1, t: 2, n: 4, slots } : undefined;
  const asked: string[] = [];
  const client = {
    keyStatus: async ({ account }: PeerRecord) => {
      const number = account[0] ?? 0;
      if (number > showing) throw new PeerError({ kind: 'unreachable', detail: 'x' });
      const shown = isOvertaken && number === 1 ? lineage.incarnation(9, bootOf(9)) : hold.incarnation;
      const told = stateOf({ shown });
      hold.observe(told);
      return { instanceId: processAt(100), draining: false, lineage: told, extensions: new Map() };
    },
    lineageStatus: () => Promise.reject(new Error('down')),
  };
  const vetter = {
    platformOf: ({ account }: PeerRecord) => `platform ${account[0]}`,
    vet: () => {
      asked.push('vet');
      return Promise.reject(new PeerError({ kind: 'unreachable', detail: 'x' }));
    },
  };
  const snapshot = {
    servers: Array.from({ length: servers }, (_one, at) => ({
      account: serverAt(at + 1),
      stash: serverAt(at + 1),
      active: true,
      signer: false,
    })),
  };
  const stage = {
    parts: {
      chain: { snapshot: async () => snapshot },
      tools: { client, vetter, random: (length: number) => new Uint8Array(length).fill(1) },
      options: { minimumThreshold, bootstrap: false },
      log: () => undefined,
    },
    stopped: new AbortController().signal,
  } as unknown as BootStage;
  const node = {
    hold,
    identity: { account: serverAt(200) },
    book: {
      newest,
      isComplete,
      file: undefined,
      slots: () => slots.map((slot) => ({ slot })),
      keyOf: () => 'known',
    },
    store: { lease: undefined, head: () => ({ generation: 0, sequence: 1, digest: new Uint8Array(32) }) },
    older: { keepLineage: async () => undefined, leaveLineage: async () => undefined },
  } as unknown as OpenNode;
  const error: unknown = await rotateNode(stage, node).catch((cause: unknown) => cause);
  const cause = error instanceof RotationFailed ? error.cause : error;
  if (!(cause instanceof LatchkeyError)) throw cause;
  return { code: cause.code, isTried: error instanceof RotationFailed, hasAsked: asked.length > 0 };
}

describe('a change of the store key', () => {
  it('asks for new keys where the node is backed and holds its account', async () => {
    const tried = { code: 'ROTATION_INCOMPLETE', isTried: true, hasAsked: true };
    expect(await outcome()).toEqual(tried);
    // Three of its four servers would open the new generation.
    expect(await outcome({ minimumThreshold: 3 })).toEqual(tried);
  });

  it.each([
    ['has no slots', { hasSlots: false }],
    ['has slots that are not confirmed', { isComplete: false }],
    ['sees too few servers for any threshold', { servers: 1 }],
    ['sees too few servers for the minimum threshold', { minimumThreshold: 4 }],
  ] as const)('tries nothing where the node %s', async (_what, change) => {
    expect(await outcome(change)).toEqual({ code: 'ROTATION_NOT_BACKED', isTried: false, hasAsked: false });
  });

  it('tries nothing where t servers do not show its mark: another instance may live on those', async () => {
    const refused = { code: 'ROTATION_INCOMPLETE', isTried: false, hasAsked: false };
    expect(await outcome({ showing: 2 })).toEqual(refused);
    expect((await outcome({ showing: 3 })).isTried).toBe(true);
  });

  it('tries nothing where a server shows a newer instance, however many show its own mark', async () => {
    expect(await outcome({ isOvertaken: true })).toEqual({
      code: 'NODE_FENCED',
      isTried: false,
      hasAsked: false,
    });
  });
});
