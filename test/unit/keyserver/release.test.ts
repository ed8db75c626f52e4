import { expect, it } from 'vitest';
import { ProblemError } from '../../../src/errors/latchkey-error.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { newSlotId, ProtocolClient } from '../../support/protocol-client.ts';

it('a key leaves only after its release was recorded', async () => {
  let letGo = (): void => undefined;
  const recorded = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const asked: string[] = [];
  const world = keyServerWorld({
    onRelease: ({ grant, requestId }) => {
      asked.push(`${grant.bound.request.intent} ${grant.created} ${requestId !== ''}`);
      return recorded;
    },
  });
  const client = new ProtocolClient(world);
  let isAnswered = false;
  const asking = client.obtain().then(() => {
    isAnswered = true;
  });
  while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(isAnswered).toBe(false);
  letGo();
  await asking;
  expect(asked).toEqual(['get-or-create true true']);
});

it('a key whose release could not be recorded is nobody’s: it goes, and the same request may come again', async () => {
  let isBroken = true;
  const world = keyServerWorld({
    onRelease: () => {
      if (isBroken) throw new ProblemError('AUDIT_REQUIRED', 'no entry was durable in time');
    },
  });
  const client = new ProtocolClient(world);
  const attempt = await client.prepare({ intent: 'create', slotId: newSlotId() });
  expect(await client.submit(attempt)).toMatchObject({ status: 503, json: { code: 'AUDIT_REQUIRED' } });
  expect(world.vault.size).toBe(0);
  isBroken = false;
  expect((await client.submit(attempt)).status).toBe(200);
});

it('a key that was there before stays, when a release of it could not be recorded', async () => {
  let isBroken = false;
  const world = keyServerWorld({
    onRelease: () => {
      if (isBroken) throw new ProblemError('AUDIT_REQUIRED', 'no entry was durable in time');
    },
  });
  const client = new ProtocolClient(world);
  const { slotId, token } = await client.obtainLinked();
  const plain = await client.obtain();
  isBroken = true;
  for (const wish of [{ intent: 'recover', slotId, token } as const, {}])
    expect((await client.submit(await client.prepare(wish))).status).toBe(503);
  expect(world.vault.size).toBe(2);
  isBroken = false;
  expect((await client.obtain({ intent: 'recover', slotId, token })).created).toBe(false);
  expect((await client.obtain()).key.reveal()).toEqual(plain.key.reveal());
});

it('a key stays that another request got while the release of the first could not be recorded', async () => {
  const fails: ((error: Error) => void)[] = [];
  const world = keyServerWorld({
    onRelease: ({ grant }) =>
      grant.created ? new Promise<void>((_, failed) => fails.push(failed)) : Promise.resolve(),
  });
  const client = new ProtocolClient(world);
  const first = client.submit(await client.prepare());
  while (fails.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const { key } = await client.obtain();
  for (const fail of fails) fail(new ProblemError('AUDIT_REQUIRED', 'no entry was durable in time'));
  expect((await first).status).toBe(503);
  expect((await client.obtain()).key.reveal()).toEqual(key.reveal());
});
