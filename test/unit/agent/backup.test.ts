import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { backupStream } from '../../../src/agent/backup-stream.ts';
import { FencedStore } from '../../../src/boot/node/fenced-store.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { Datastore } from '../../../src/rituals/datastore.ts';
import { restoreRituals } from '../../../src/rituals/ritual-backup.ts';
import { openPasswordStore } from '../../../src/store/password-store.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { AgentWorld, base64 } from './agent-fixture.ts';

const storeKey = (): SecretBytes => new SecretBytes(new Uint8Array(32).fill(5));
let folder: Awaited<ReturnType<typeof tempFolder>>;
let store: SealedStore;
let fenced: FencedStore;
let world: AgentWorld;
beforeEach(async () => {
  folder = await tempFolder();
  store = await SealedStore.create({ path: join(folder.path, 'store'), storeKey: storeKey() });
  fenced = new FencedStore(store, true);
  world = new AgentWorld(fenced);
});
afterEach(async () => {
  await store.close();
  await folder[Symbol.asyncDispose]();
});

const putRitual = (id: number) =>
  world.send('PUT', `/rituals/${id}`, { timestamp: id, fragment: base64(`fragment ${id}`) });
const request = (method: string, path: string, body?: unknown) =>
  world.app.request(`http://localhost${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });

describe('R5 backup through the agent', () => {
  it('R5 a backup of the whole store while it is written restores to one past state', async () => {
    for (let id = 0; id < 30; id += 1) await putRitual(id);
    await world.send('PUT', '/kv/space/name', { value: base64('value') });
    let isWriting = true;
    const writing = (async () => {
      for (let id = 30; isWriting; id += 1) await putRitual(id);
    })();
    const response = await request('GET', '/backup');
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'application/octet-stream',
    ]);
    const whole = new Uint8Array(await response.arrayBuffer());
    isWriting = false;
    await writing;
    async function* source() {
      yield whole;
    }
    const path = join(folder.path, 'restored');
    const restored = await Datastore.restore({ path, storeKey: storeKey(), source: source() });
    const found = await restored.datastore.list();
    expect(found.length).toBeGreaterThanOrEqual(30);
    expect(found.map(({ id }) => id)).toEqual(found.map((_, index) => index));
    expect(new AgentWorld(restored.store).store).toBe(restored.store);
    const again = new AgentWorld(restored.store);
    expect((await again.send('GET', '/kv/space/name')).json).toEqual({ value: base64('value') });
    await restored.store.close();
  });

  it('R5 a backup of the rituals under a password restores by the password and holds only the rituals', async () => {
    await putRitual(1);
    await world.send('PUT', '/rituals/1/conditions', { paid: true });
    await world.send('PUT', '/kv/space/name', { value: base64('value') });
    await store.namespace('latchkey/identity');
    const response = await request('POST', '/rituals/backup', { password: 'a long password' });
    const file = join(folder.path, 'rituals.backup');
    await writeFile(file, new Uint8Array(await response.arrayBuffer()));
    const place = (password: string) => ({
      path: join(folder.path, 'restored'),
      password: new SecretBytes(new TextEncoder().encode(password)),
      fileSystem: nodeFileSystem,
    });
    await expect(restoreRituals(file, place('another password'))).rejects.toMatchObject({
      code: 'STORE_PASSWORD_WRONG',
    });
    await restoreRituals(file, place('a long password'));
    await using restored = await openPasswordStore(place('a long password'));
    expect(restored.namespaces().filter((name) => !name.startsWith('rituals/'))).toEqual([]);
    expect(restored.storeId).not.toEqual(store.storeId);
    const rituals = await Datastore.initialize(restored);
    expect(new TextDecoder().decode((await rituals.retrieveFragment(1)).fragment)).toBe('fragment 1');
  });

  it('R5 a fenced node can still be backed up; a locked node gives the reason of its refusal', async () => {
    await putRitual(1);
    fenced.fence('boot 2 came later');
    expect((await (await request('GET', '/backup')).arrayBuffer()).byteLength).toBeGreaterThan(100);
    world.store = undefined;
    expect((await world.send('GET', '/backup')).json['code']).toBe('NODE_LOCKED');
  });

  it.each([{}, { password: '' }, { password: 'p'.repeat(1025) }, { password: 1 }])(
    'R5 a password of the wrong form is refused: %j',
    async (body) => {
      expect((await world.send('POST', '/rituals/backup', body)).json['code']).toBe('FIELD_INVALID');
    },
  );
});

describe('a backup as a stream', () => {
  const chunk = new Uint8Array(1000);

  it('runs at the speed of its reader, one at a time, and ends when the reader disconnects', async () => {
    let written = 0;
    const running = await backupStream(store, async (sink) => {
      for (; written < 1000; written += 1) await sink(chunk);
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(written).toBeLessThan(3);
    await expect(backupStream(store, async () => undefined)).rejects.toMatchObject({
      code: 'STORE_BACKUP_RUNNING',
    });
    await running.cancel();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(written).toBeLessThan(4);
    const next = await backupStream(store, (sink) => sink(chunk));
    expect((await new Response(next).arrayBuffer()).byteLength).toBe(1000);
  });

  it('ends when its client stops reading, and then another may run', async () => {
    let failure: unknown;
    const first = await backupStream(
      store,
      async (sink) => {
        try {
          for (;;) await sink(chunk);
        } catch (error) {
          failure = error;
          throw error;
        }
      },
      5,
    );
    await expect.poll(() => failure).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    await expect(new Response(first).arrayBuffer()).rejects.toThrow();
    await expect
      .poll(() =>
        backupStream(store, (sink) => sink(chunk)).then(
          () => 'runs',
          () => 'busy',
        ),
      )
      .toBe('runs');
  });

  it('an error before the first byte is thrown, a later error aborts the stream', async () => {
    const failing = () => Promise.reject(new Error('disk'));
    await expect(backupStream(store, failing)).rejects.toThrow('disk');
    const broken = await backupStream(store, async (sink) => {
      await sink(chunk);
      throw new Error('disk');
    });
    await expect(new Response(broken).arrayBuffer()).rejects.toThrow('disk');
  });
});
