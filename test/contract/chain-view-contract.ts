import { describe, expect, it } from 'vitest';
import { compareBytes } from '../../src/bytes/concat.ts';
import type { ChainSnapshot, ChainView, ServerRecord } from '../../src/chain/chain-view.ts';
import { eventually, serverRecord } from '../support/chain-fixtures.ts';

/** One chain view under test, and the hand that moves its chain. */
export interface ChainViewDriver extends AsyncDisposable {
  readonly view: ChainView;
  /** Makes the chain say this, at a later finalized block than before. */
  set(servers: readonly ServerRecord[], acceptedMeasurements: readonly Uint8Array[]): Promise<void>;
}

const endpoints = ({ servers }: ChainSnapshot): string[] => servers.map(({ endpoint }) => endpoint);

/** What every {@link ChainView} must do. */
export function chainViewContract(name: string, open: () => Promise<ChainViewDriver>): void {
  describe(`chain view: ${name}`, () => {
    it('gives every field of a record as it was registered', async () => {
      await using driver = await open();
      const expected = serverRecord(3, { active: false, signer: true });
      const measurement = new Uint8Array(32).fill(0xaa);
      await driver.set([expected], [measurement]);
      const snapshot = await eventually(async () => {
        const now = await driver.view.snapshot();
        return now.servers.length === 1 ? now : undefined;
      });
      expect(snapshot.servers).toEqual([expected]);
      expect(snapshot.acceptedMeasurements).toEqual([measurement]);
      expect(snapshot.undecodableRecords).toBe(0);
      expect(snapshot.genesisHash).toHaveLength(32);
      expect(snapshot.block.hash).toHaveLength(32);
    });

    it('orders records by account bytes, for any order of registration', async () => {
      await using driver = await open();
      await driver.set(
        [7, 2, 9, 4, 1].map((n) => serverRecord(n)),
        [],
      );
      const { servers } = await eventually(async () => {
        const now = await driver.view.snapshot();
        return now.servers.length === 5 ? now : undefined;
      });
      const sorted = [...servers].sort((a, b) => compareBytes(a.account, b.account));
      expect(servers).toEqual(sorted);
      expect(servers.map(({ account }) => account[0])).toEqual([1, 2, 4, 7, 9]);
    });

    it('tells subscribers of changes until they unsubscribe', async () => {
      await using driver = await open();
      const seen: ChainSnapshot[] = [];
      const all: ChainSnapshot[] = [];
      const stop = driver.view.subscribe((snapshot) => seen.push(snapshot));
      driver.view.subscribe((snapshot) => all.push(snapshot));
      await driver.set([serverRecord(1)], []);
      await eventually(() => seen.find((snapshot) => endpoints(snapshot)[0] === '127.0.0.1:3001'));
      stop();
      const before = seen.length;
      await driver.set([serverRecord(1, { endpoint: 'moved.example:80' })], []);
      await eventually(() => all.find((snapshot) => endpoints(snapshot)[0] === 'moved.example:80'));
      expect(seen).toHaveLength(before);
      expect(endpoints(await driver.view.snapshot())).toEqual(['moved.example:80']);
    });

    it('never goes back to an older block', async () => {
      await using driver = await open();
      const numbers: number[] = [];
      driver.view.subscribe(({ block }) => numbers.push(block.number));
      for (const n of [1, 2, 3, 4]) {
        await driver.set([serverRecord(n)], []);
        const now = await eventually(async () => {
          const snapshot = await driver.view.snapshot();
          return snapshot.servers[0]?.account[0] === n ? snapshot : undefined;
        });
        numbers.push(now.block.number);
      }
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      expect(new Set(numbers).size).toBeGreaterThanOrEqual(4);
    });

    it('one subscriber is called twice when subscribed twice', async () => {
      await using driver = await open();
      let calls = 0;
      const listener = (): void => {
        calls += 1;
      };
      const stopFirst = driver.view.subscribe(listener);
      driver.view.subscribe(listener);
      await driver.set([serverRecord(1)], []);
      await eventually(() => (calls >= 2 ? calls : undefined));
      stopFirst();
      const before = calls;
      await driver.set([serverRecord(2)], []);
      await eventually(() => (calls > before ? calls : undefined));
      expect(calls).toBe(before + 1);
    });

    it('fails with CHAIN_UNAVAILABLE after it was closed', async () => {
      const driver = await open();
      await driver[Symbol.asyncDispose]();
      await expect(driver.view.snapshot()).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    });
  });
}
