import { describe, expect, it } from 'vitest';
import { toPrefixedHex } from '../../src/bytes/hex.ts';
import { eventually } from '../support/chain-fixtures.ts';
import { decoderChildren } from '../support/decoder-children.ts';
import { forgedMetadata, towerOf } from '../support/forged-metadata.ts';
import { startRunningNode } from '../support/running-node.ts';

const tower = toPrefixedHex(forgedMetadata((types, { u8 }) => ({ extra: towerOf(types, 40, u8) })));

describe('a running node with a chain endpoint that begins to forge metadata', { timeout: 120_000 }, () => {
  it('serves requests while the forged metadata are decoded, and after decoding has failed', async () => {
    const events: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
    await using running = await startRunningNode((_level, event, fields = {}) =>
      events.push({ event, fields }),
    );
    const { chain, url } = running;
    // As an upgrade would: another version, and so other metadata.
    chain.setTamper((method, _params, honest) => {
      if (method === 'state_getRuntimeVersion') return { ...(honest as object), specVersion: 401 };
      return method === 'state_getMetadata' ? tower : honest;
    });
    const ask = async (path: string): Promise<number> => (await fetch(`${url}${path}`)).status;
    const boot = (await (await fetch(`${url}/info`)).json()) as Record<string, unknown>;
    await eventually(() => (decoderChildren().length > 0 ? true : undefined));
    let served = 0;
    await eventually(async () => {
      expect(await ask('/healthz')).toBe(200);
      served += 1;
      return events.find(({ event }) => event === 'chain.decoder-failed');
    });
    expect(served).toBeGreaterThan(20);
    const failed = events.find(({ event }) => event === 'chain.decoder-failed');
    expect(failed?.fields).toMatchObject({ code: 'CHAIN_UNAVAILABLE', endpoint: chain.url });
    // The same process with the same memory.
    expect(await (await fetch(`${url}/info`)).json()).toMatchObject({ instanceId: boot['instanceId'] });
    chain.setTamper(undefined);
    const before = events.length;
    chain.newBlocks(2);
    await eventually(() => (running.node.keyServer === undefined ? undefined : true));
    expect(events.slice(before).map(({ event }) => event)).not.toContain('process.fault');
  });
});
