import { describe, expect, it } from 'vitest';
import { type KeyServerWorld, keyServerWorld } from '../../support/key-server-fixture.ts';
import { clientAccount, ProtocolClient } from '../../support/protocol-client.ts';

/** How many refusals the metrics count, by code. */
async function countsOf({ metrics }: KeyServerWorld): Promise<Readonly<Record<string, string>>> {
  const lines = (await metrics.registry.metrics()).matchAll(/keys_refused_total\{code="(\w+)"\} (\d+)/g);
  return Object.fromEntries([...lines].map(([, code = '', count = '']) => [code, count]));
}

/** What the log says of refusals. */
const loggedBy = (world: KeyServerWorld): readonly unknown[] =>
  world
    .logText()
    .split('\n')
    .filter((line) => line.includes('"key.refused"'))
    .map((line) => JSON.parse(line) as unknown);

describe('a request for a key that is refused', () => {
  it('is counted and logged by its code, with what the refusal says', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const { status } = await client.submit(await client.prepare({ body: { mrTd: new Uint8Array(48) } }));
    expect(status).toBe(403);
    expect(await countsOf(world)).toEqual({ MEASUREMENT_REFUSED: '1' });
    expect(loggedBy(world)).toEqual([
      expect.objectContaining({
        code: 'MEASUREMENT_REFUSED',
        detail: expect.stringMatching(/^measurement 0x\w+ is not accepted/),
      }),
    ]);
  });

  it('by a failure that nobody expected is INTERNAL, and nothing of the failure is in its line', async () => {
    const world = keyServerWorld({
      onRelease: () => {
        throw new Error('what a failure says may be secret');
      },
    });
    const client = new ProtocolClient(world);
    expect((await client.submit(await client.prepare())).status).toBe(500);
    expect(await countsOf(world)).toEqual({ INTERNAL: '1' });
    const [line] = loggedBy(world);
    expect(line).toMatchObject({ code: 'INTERNAL' });
    expect(JSON.stringify(line)).not.toContain('may be secret');
  });

  it('for want of time is counted, and makes no line: a flood must not fill the log', async () => {
    const world = keyServerWorld({ othersMayWait: 0 });
    const clients = [1, 2].map((number) => new ProtocolClient(world, clientAccount(number)));
    const attempts = await Promise.all(clients.map((client) => client.prepare()));
    const replies = await Promise.all(clients.map((client, n) => client.submit(attempts[n] as never)));
    expect(replies.map(({ status }) => status)).toEqual([200, 503]);
    expect(await countsOf(world)).toEqual({ SERVER_BUSY: '1' });
    expect(loggedBy(world)).toEqual([]);
  });
});
