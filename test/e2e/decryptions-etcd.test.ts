import { afterEach, describe, expect, it } from 'vitest';
import type { Decryption } from '../../src/decryptions/decryption.ts';
import { DecryptionService } from '../../src/decryptions/decryption-service.ts';
import { EtcdTable } from '../../src/decryptions/etcd/etcd-table.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { type EtcdCluster, hasEtcd, startEtcd } from '../support/etcd.ts';

const keyOf = (number: number): string => number.toString(16).padStart(64, '0');
const of = (value: number): Decryption => ({ value: BigInt(value), signature: new Uint8Array(65).fill(7) });

interface Instance {
  readonly table: EtcdTable;
  readonly service: DecryptionService;
}

describe.skipIf(!hasEtcd)('three instances on a cluster of three members', () => {
  let cluster: EtcdCluster | undefined;
  const running: Instance[] = [];

  async function start(): Promise<EtcdCluster> {
    const started = await startEtcd({ members: 3 });
    cluster = started;
    for (let index = 0; index < 3; index += 1) {
      // Each instance begins with another member, as behind a list in another order.
      const endpoints = [...started.endpoints.slice(index), ...started.endpoints.slice(0, index)];
      const table = await EtcdTable.open({ endpoints, operationTimeoutMs: 20_000 });
      running.push({ table, service: DecryptionService.on(table, { maxExpectedOracleDelayMs: 600_000 }) });
    }
    return started;
  }
  const at = (number: number): DecryptionService => {
    const instance = running[number % running.length];
    if (instance === undefined) throw new TypeError('no instance');
    return instance.service;
  };
  afterEach(async () => {
    for (const { service, table } of running.splice(0)) {
      service.close();
      table.close();
    }
    await cluster?.[Symbol.asyncDispose]();
    cluster = undefined;
  });

  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'the leader gets %s in mid-write: nothing acknowledged is lost, and every waiter is answered',
    async (signal) => {
      const { leader } = await start();
      const leading = await leader();
      const acknowledged = new Map<string, number>();
      const unsure: unknown[] = [];
      const waiting = Array.from({ length: 30 }, (_, number) => at(number).get(keyOf(1_000_000 + number)));
      let isOver = false;
      let written = 0;
      const writers = Array.from({ length: 12 }, async (_, writer) => {
        for (let turn = 0; !isOver; turn += 1) {
          const number = writer * 10_000 + turn;
          try {
            await at(writer).put(keyOf(number), of(number));
            acknowledged.set(keyOf(number), number);
            written += 1;
          } catch (error) {
            unsure.push(error);
          }
        }
      });
      const untilWritten = async (count: number): Promise<void> => {
        while (written < count) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      await untilWritten(100);
      if (signal === 'SIGKILL') await leading.kill(signal);
      else leading.process.kill(signal);
      // It goes on without the member, and others than the leader of before lead.
      const before = written;
      await untilWritten(before + 100);
      isOver = true;
      await Promise.all(writers);
      // What was not acknowledged ended with a code, and not by waiting for ever.
      for (const error of unsure)
        expect(error instanceof LatchkeyError && error.code).toBe('DECRYPTIONS_ENGINE_UNAVAILABLE');
      for (let number = 0; number < 30; number += 1) {
        await at(number + 1).put(keyOf(1_000_000 + number), of(number));
      }
      const answers = await Promise.all(waiting);
      expect(answers.map((found) => found?.value)).toEqual(answers.map((_, number) => BigInt(number)));
      if (signal === 'SIGSTOP') leading.process.kill('SIGCONT');
      else await leading.restart();
      for (const [key, value] of acknowledged)
        expect((await at(value).get(key, { waitMs: 0 }))?.value).toBe(BigInt(value));
      console.log(`${signal}: ${acknowledged.size} acknowledged, ${unsure.length} without an answer`);
    },
    180_000,
  );

  it('without a majority writes and reads end with 503, and go on when a member is back', async () => {
    const started = await start();
    running.push(
      ...(await Promise.all(
        [0, 1].map(async () => {
          const table = await EtcdTable.open({
            endpoints: started.endpoints,
            requestTimeoutMs: 300,
            operationTimeoutMs: 1500,
          });
          return { table, service: DecryptionService.on(table, { maxExpectedOracleDelayMs: 500 }) };
        }),
      )),
    );
    const [one, two] = running.slice(3).map(({ service }) => service);
    await one?.put(keyOf(1), of(1));
    const [first, second] = started.members;
    await first?.kill('SIGKILL');
    await second?.kill('SIGKILL');
    await expect(one?.put(keyOf(2), of(2))).rejects.toMatchObject({
      code: 'DECRYPTIONS_ENGINE_UNAVAILABLE',
      status: 503,
    });
    await expect(two?.get(keyOf(1))).rejects.toMatchObject({ code: 'DECRYPTIONS_ENGINE_UNAVAILABLE' });
    // Also where the watch is at the member that lives: it has no leader, and says so.
    await until(() => running.every(({ table }) => !table.health().isReady));
    await first?.restart();
    await until(async () => (await two?.get(keyOf(1)).catch(() => undefined))?.value === 1n);
    await until(() => running.every(({ table }) => table.health().isReady));
    const waiting = at(0).get(keyOf(3));
    await one?.put(keyOf(3), of(3));
    expect(await waiting).toEqual(of(3));
  }, 180_000);
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
