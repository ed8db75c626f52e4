import { expect, it } from 'vitest';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { ProtocolClient } from '../../support/protocol-client.ts';

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
