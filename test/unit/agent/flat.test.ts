import { describe, expect, it } from 'vitest';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { AgentWorld, base64 } from './agent-fixture.ts';

/** Counts how often all namespaces are listed, which sorts them: 100,000 of them take a tenth of a second. */
class CountingStore extends MemoryStore {
  listings = 0;

  override namespaces(): readonly string[] {
    this.listings += 1;
    return super.namespaces();
  }
}

describe('the agent on a store with many namespaces', () => {
  it('does not list the namespaces for a request about one record', async () => {
    const store = new CountingStore();
    const world = new AgentWorld(new FencedStore(store, true));
    const share = { index: 1, scalar: Buffer.alloc(32).toString('base64') };
    const requests = async (): Promise<void> => {
      await world.send('PUT', '/kv/space/name', { value: base64('v') });
      await world.send('GET', '/kv/space/name');
      await world.send('DELETE', '/kv/space/name');
      await world.send('PUT', '/rituals/1', { timestamp: 1, fragment: base64('f') });
      await world.send('GET', '/rituals/1');
      await world.send('DELETE', '/rituals/1');
      await world.send('PUT', '/secret-stores/dkg/1/share', share);
      await world.send('GET', '/secret-stores/dkg/1/share');
    };
    // Each service lists the namespaces once, when it is opened.
    await requests();
    store.listings = 0;
    await requests();
    expect(store.listings).toBe(0);
  });
});
