import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeFileSystem } from '../../src/disk/node-file-system.ts';
import { type Listener, listen } from '../../src/http/listener.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { AgentWorld, base64 } from '../unit/agent/agent-fixture.ts';

describe('latchkey rituals follow', () => {
  let folder: string;
  let config: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-follow-'));
    config = join(folder, 'rituals.json');
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'a long enough password for a test', { mode: 0o600 });
    const place = ['--path', join(folder, 'store'), '--password-file', passwordFile];
    const { code, stderr } = await runLatchkey(['rituals', 'init', '--config', config, ...place]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const follow = (...lines: readonly string[]) =>
    runLatchkey(['rituals', 'follow', '--config', config], lines.map((line) => `${line}\n`).join(''));
  const first = '{"event":"finalized","block":7,"index":0,"id":42,"timestamp":5,"fragment":"AQI="}';
  const second = '{"event":"revoked","block":7,"index":3,"id":42}';

  it('works off each event once over several runs, and says where the source must begin', async () => {
    expect((await follow(first)).stdout).toBe(
      '{"position":null}\n{"block":7,"index":0,"id":42,"result":"stored"}\n',
    );
    expect((await runLatchkey(['rituals', 'get', '42', '--config', config])).stdout).toBe('0102\n');
    expect((await follow(first, second)).stdout).toBe(
      '{"position":{"block":7,"index":0}}\n{"block":7,"index":0,"id":42,"result":"repeated"}\n' +
        '{"block":7,"index":3,"id":42,"result":"revoked"}\n',
    );
    const again = await follow(first);
    expect(again.stdout).toContain('"result":"repeated"');
    expect((await runLatchkey(['rituals', 'list', '--config', config])).stdout).toBe('');
  });

  it('ends with an error at a line that is no event, after the events before it', async () => {
    const { code, stdout, stderr } = await follow(second.replace('"block":7', '"block":8'), '{"event":');
    expect(stdout).toContain('"result":"absent"');
    expect(stderr).toContain('FIELD_INVALID');
    expect(code).toBe(1);
  });
});

describe('latchkey rituals follow --agent', () => {
  let folder: string;
  let socket: string;
  let listener: Listener;
  const store = new MemoryStore();
  const world = new AgentWorld(store);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-follow-'));
    socket = join(folder, 'agent.sock');
    listener = await listen(world.app.fetch, { socketPath: socket });
  });
  afterAll(async () => {
    await listener?.close(100);
    rmSync(folder, { recursive: true, force: true });
  });

  const follow = (...lines: readonly string[]) =>
    runLatchkey(['rituals', 'follow', '--agent', socket], lines.map((line) => `${line}\n`).join(''));
  const finalized = '{"event":"finalized","block":7,"index":0,"id":42,"timestamp":5,"fragment":"AQI="}';
  const revoked = '{"event":"revoked","block":7,"index":3,"id":42}';

  it('works off each event once in the store of the node, where a decryption finds the fragment', async () => {
    expect((await follow(finalized)).stdout).toBe(
      '{"position":null}\n{"block":7,"index":0,"id":42,"result":"stored"}\n',
    );
    const now = Math.floor(Date.now() / 1000);
    const numbers = { dkgSize: 1, threshold: 1, totalAggregations: 1, initTimestamp: 1 };
    const active = { ...numbers, endTimestamp: now + 3600, aggregatedTranscript: 'dA==', publicKey: 'cA==' };
    await world.send('PUT', '/rituals/42/active', active);
    await world.send('PUT', '/rituals/42/validators', {
      validators: [{ address: '0xA', publicKey: 'aw==' }],
    });
    expect(await world.send('POST', '/rituals/42/decryption', { validator: '0xA' })).toMatchObject({
      json: { fragment: 'AQI=' },
    });
    // The stream is sent again from before the crash: what was revoked does not come back.
    expect((await follow(finalized, revoked)).stdout).toBe(
      '{"position":{"block":7,"index":0}}\n{"block":7,"index":0,"id":42,"result":"repeated"}\n' +
        '{"block":7,"index":3,"id":42,"result":"revoked"}\n',
    );
    expect((await follow(finalized)).stdout).toContain('"result":"repeated"');
    expect((await world.send('GET', '/rituals/42')).status).toBe(404);
    const again = revoked.replace('"block":7', '"block":8');
    expect((await follow(again)).stdout).toContain('"result":"absent"');
  });

  it('ends with the refusal of the node, and leaves the position before the event', async () => {
    await world.send('PUT', '/rituals/43/conditions', { authorized: false });
    const { code, stdout, stderr } = await follow(
      '{"event":"finalized","block":9,"index":0,"id":43,"timestamp":5,"fragment":"AQI="}',
    );
    expect([stdout, code]).toEqual(['{"position":{"block":8,"index":3}}\n', 2]);
    expect(stderr).toContain('RITUAL_UNAUTHORIZED');
    expect((await follow()).stdout).toBe('{"position":{"block":8,"index":3}}\n');
  });

  it('lets one follower in, and the next one after it', async () => {
    const folderOfLock = `${socket}.follow`;
    const held = await nodeFileSystem.lock?.(folderOfLock);
    if (held === undefined || 'owner' in held) throw new Error('the lock is not free');
    const second = await follow(finalized);
    expect(second.stderr).toContain('STORE_LOCKED');
    expect(second.stdout).toBe('');
    await held.release();
    expect((await follow()).stdout).toContain('"position"');
  });

  it('a position that another program has written is refused, and nothing is done', async () => {
    const before = (await world.send('GET', '/kv/ritual-events/position')).json;
    await world.send('PUT', '/kv/ritual-events/position', { value: base64('{"block":1}') });
    const { code, stdout, stderr } = await follow(finalized);
    expect([stdout, code]).toEqual(['', 1]);
    expect(stderr).toContain('FIELD_INVALID');
    await world.send('PUT', '/kv/ritual-events/position', before);
  });

  it('store and revoke take the socket too', async () => {
    const at = ['--agent', socket];
    expect((await runLatchkey(['rituals', 'store', '50', '5', ...at], 'share')).stdout).toBe('stored\n');
    expect((await world.send('GET', '/rituals/50')).json).toMatchObject({ fragment: base64('share') });
    expect((await runLatchkey(['rituals', 'revoke', '50', ...at])).stdout).toBe('erased\n');
    expect((await world.send('GET', '/rituals/50')).status).toBe(404);
  });

  it('needs one of the two places, and a node that answers', async () => {
    for (const options of [[], ['--agent', socket, '--config', join(folder, 'none.json')]]) {
      const { code, stderr } = await runLatchkey(['rituals', 'revoke', '1', ...options]);
      expect(stderr).toContain('either --config FILE or --agent SOCKET');
      expect(code).not.toBe(0);
    }
    const { stderr } = await runLatchkey(['rituals', 'revoke', '1', '--agent', join(folder, 'none.sock')]);
    expect(stderr).toContain('NODE_UNREACHABLE');
  });
});
