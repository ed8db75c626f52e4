import { describe, expect, it } from 'vitest';
import { isOlderDisk, isRefusal, messageOf, mustClose } from '../../../src/boot/life/boot-errors.ts';
import type { GuardianParts } from '../../../src/boot/life/boot-stage.ts';
import { fileWithout, isWrongKey, requireAccount } from '../../../src/boot/life/reopen-node.ts';
import { KeyHolders } from '../../../src/boot/obtain/key-holders.ts';
import type { ServerVetter } from '../../../src/boot/obtain/vet-server.ts';
import type { PeerRecord } from '../../../src/boot/peer/held-keys.ts';
import { PeerError } from '../../../src/boot/peer/peer-failure.ts';
import type { ChainSnapshot } from '../../../src/chain/chain-view.ts';
import { EvidenceError, ProblemError, RefusalError } from '../../../src/errors/latchkey-error.ts';
import { serverAt, slotAt } from '../../support/checked-slots.ts';
import { enrol, fileOf } from '../../support/keyslot-fixtures.ts';
import { codeOf } from '../../support/thrown.ts';

const errors = {
  'rolled back': new EvidenceError('STORE_ROLLED_BACK', 'x'),
  closed: new EvidenceError('LINEAGE_CLOSED', 'x'),
  'write failed': new ProblemError('STORE_WRITE_FAILED', 'x'),
  'wrong key': new EvidenceError('STORE_WRONG_KEY', 'x'),
  'other account': new RefusalError('NODE_ACCOUNT_MISMATCH', 'x'),
  'disk full': new ProblemError('STORE_DISK_FULL', 'x'),
  unknown: new Error('x'),
};
const where = (test: (error: unknown) => boolean) =>
  Object.entries(errors).flatMap(([name, error]) => (test(error) ? [name] : []));

describe('what an error means for a boot', () => {
  it('closes a store that is an older one, or that takes nothing more', () => {
    expect(where(mustClose)).toEqual(['rolled back', 'closed', 'write failed']);
  });

  it('tells an older disk', () => {
    expect(where(isOlderDisk)).toEqual(['rolled back', 'closed']);
  });

  it('tells a disk that is refused from a failure that passes', () => {
    expect(where(isRefusal)).toEqual(['rolled back', 'closed', 'wrong key', 'other account']);
  });

  it('tells a generation whose key is not that of the store', () => {
    expect(where(isWrongKey)).toEqual(['wrong key']);
  });

  it('is told to people by its code, or with its stack where it has none', () => {
    expect(messageOf(errors.closed)).toBe('LINEAGE_CLOSED: x');
    expect(messageOf(errors.unknown)).toContain('boot-errors.test');
    expect(messageOf('a text')).toBe('a text');
    expect(messageOf(Object.assign(new Error('no stack'), { stack: undefined }))).toBe('no stack');
  });
});

describe('the account of a store', () => {
  const require = (account: number, inFile: number, expected?: number) =>
    codeOf(() =>
      requireAccount(
        { expectedAccount: expected === undefined ? undefined : serverAt(expected) } as GuardianParts,
        serverAt(account),
        serverAt(inFile),
      ),
    );

  it('is that of the keyslot file, and the expected one: the host may mount the disk of another node', () => {
    expect([require(1, 1), require(1, 1, 1)]).toEqual(['none', 'none']);
    const refused = [require(1, 2), require(2, 2, 1), require(1, 2, 1), require(1, 2, 2), require(2, 1, 1)];
    expect(refused).toEqual(Array(5).fill('NODE_ACCOUNT_MISMATCH'));
  });
});

it('a keyslot file without the generation that failed has the other one, or nothing', async () => {
  const first = await enrol({ t: 2, n: 3 });
  const second = await enrol({ t: 2, n: 3 }, { generation: 2 });
  const file = { ...fileOf(first), generations: [second.generation, first.generation] as const };
  expect(fileWithout(file, 2)?.generations.map(({ generation }) => generation)).toEqual([1]);
  expect(fileWithout(file, 1)?.generations.map(({ generation }) => generation)).toEqual([2]);
  expect(fileWithout(fileOf(first), 1)).toBeUndefined();
});

describe('the servers of a keyslot file', () => {
  const vetted: number[] = [];
  const vetter = {
    platformOf: ({ account }: PeerRecord) => (account[0] === 2 ? undefined : 'a platform'),
    countsInPart: ({ account }: PeerRecord) => account[0] === 3,
    vet: async ({ account }: PeerRecord, _snapshot: unknown, _signal: unknown, role: string) => {
      vetted.push(account[0] ?? 0);
      if (account[0] === 3) throw new PeerError({ kind: 'untrusted', code: role, detail: 'x' });
    },
  } as unknown as ServerVetter;
  const servers = [1, 2, 3].map((number) => ({ account: serverAt(number) }));
  const holders = new KeyHolders(
    vetter,
    { servers } as unknown as ChainSnapshot,
    new AbortController().signal,
  );
  const failureOf = (number: number) => {
    const found = holders.find(slotAt(number));
    return 'failure' in found ? found.failure.kind : found.holder.countsInPart;
  };

  it('are asked only where the chain has them and proves their machine', () => {
    expect([1, 2, 3, 4].map(failureOf)).toEqual([false, 'untrusted', true, 'departed']);
  });

  it('are vetted as holders, once however many of their slots are asked for', async () => {
    const verdicts = [1, 3, 1, 3].map((number) => {
      const found = holders.find(slotAt(number));
      if (!('holder' in found)) throw new Error('not found');
      return holders.vet(found.holder);
    });
    const good = undefined;
    const bad = { kind: 'untrusted', code: 'holder', detail: 'x' };
    expect(await Promise.all(verdicts)).toEqual([good, bad, good, bad]);
    expect(vetted).toEqual([1, 3]);
  });
});
