import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentClient } from '../../../src/client/client.ts';
import { type Listener, listen } from '../../../src/http/listener.ts';
import { MemoryStore } from '../../support/memory-store.ts';
import { AgentWorld, base64 } from './agent-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'latchkey-dots-'));
const socketPath = join(folder, 'agent.sock');
const store = new MemoryStore();
let listener: Listener;

beforeAll(async () => {
  listener = await listen(new AgentWorld(store).app.fetch, { socketPath });
});
afterAll(async () => {
  await listener.close(100);
  rmSync(folder, { recursive: true, force: true });
});

/** What the agent answers to bytes that no client library changes on their way. */
function sendRaw(method: string, target: string, body = ''): Promise<{ status: number; json: unknown }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const connection = connect(socketPath);
    connection.on('data', (chunk) => chunks.push(chunk));
    connection.on('error', reject);
    connection.on('end', () => {
      const [head = '', text = ''] = Buffer.concat(chunks).toString('utf8').split('\r\n\r\n');
      resolve({ status: Number(head.split(' ')[1]), json: JSON.parse(text) });
    });
    const type = 'content-type: application/json\r\n';
    const length = `content-length: ${Buffer.byteLength(body)}\r\n`;
    connection.write(`${method} ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n`);
    connection.write(`${type}${length}\r\n${body}`);
  });
}

/** One part of a path that a URL parser removes, in every spelling. */
const dots = ['.', '%2e', '%2E'];
const dotDots = dots.flatMap((first) => dots.map((second) => first + second));
const removed = [...dots, ...dotDots];

async function makeShares(): Promise<void> {
  const shares = await store.namespace('app/shares', { erasable: true });
  await shares.put('one', Uint8Array.of(1));
}
const readShare = async () => (await store.namespace('app/shares', { erasable: true })).get('one');

describe('parts of a path that a URL parser removes', () => {
  it.each(removed)('%s destroys no namespace and reaches no record', async (part) => {
    await makeShares();
    const targets = [
      `/kv/${part}/shares`,
      `/kv/shares/${part}`,
      `/kv/shares/one/${part}`,
      `/kv/shares/one/${part}?limit=1`,
      `/${part}/kv/shares`,
      `/kv/x/${part}/shares`,
      `http://localhost/kv/${part}/shares`,
      `/rituals/${part}/expired`,
      `/rituals/7/${part}`,
      `/epochs/${part}/1`,
      `/secret-stores/${part}/1/share`,
      `/v1/transit/keys/${part}/rotate`,
      `/drain/${part}`,
    ];
    for (const target of targets) {
      for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
        const { status, json } = await sendRaw(method, target, '{}');
        expect({ target, status, json }).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID' } });
      }
    }
    expect(await readShare()).toEqual(Uint8Array.of(1));
    expect(store.namespaces()).toEqual(['app/shares']);
  });

  it.each(['/kv//shares', '/kv/shares/', '/kv/', '//kv/shares', '/kv///', '/kv/shares//'])(
    'an empty part is no name: %s',
    async (target) => {
      await makeShares();
      const { status } = await sendRaw('DELETE', target);
      expect([400, 404]).toContain(status);
      expect(await readShare()).toEqual(Uint8Array.of(1));
    },
  );

  it('dots in a query and in a longer name are no such part', async () => {
    for (const name of ['...', '.a', '..a', 'a.', '.%2F.', '%2e%2e%2e']) {
      const body = JSON.stringify({ value: base64(name) });
      expect((await sendRaw('PUT', `/kv/dotted/${name}`, body)).status, name).toBe(200);
      expect((await sendRaw('GET', `/kv/dotted/${name}`)).json, name).toEqual({ value: base64(name) });
    }
    expect((await sendRaw('GET', '/kv/dotted?prefix=../')).status).toBe(200);
    for (const namespace of ['...', '.a', '..a', 'a..'])
      expect((await sendRaw('PUT', `/kv/${namespace}`, '{}')).status, namespace).toBe(200);
  });

  it.each(['.', '..', ''])('no operation of a batch takes %j as a name', async (name) => {
    const value = base64('x');
    const before = store.writes;
    for (const named of [
      { namespace: name, name: 'a' },
      { namespace: 'demo', name },
    ]) {
      for (const operation of [
        { kind: 'put', ...named, value },
        { kind: 'delete', ...named },
        { kind: 'expect', ...named, value: null },
      ]) {
        const { status, json } = await sendRaw('POST', '/kv', JSON.stringify({ operations: [operation] }));
        expect({ operation, status, json }).toMatchObject({ status: 400, json: { code: 'FIELD_INVALID' } });
      }
    }
    expect(store.writes).toBe(before);
  });

  it('a namespace or record that is there under such a name is still listed', async () => {
    await (await store.namespace('app/..')).put('.', Uint8Array.of(2));
    expect(await sendRaw('GET', '/kv')).toMatchObject({
      json: { namespaces: expect.arrayContaining(['..']) },
    });
  });
});

describe('AgentClient', () => {
  const client = new AgentClient(socketPath);

  it.each(['.', '..', '', 'half \ud800'])('sends nothing with %j as a name', async (name) => {
    await makeShares();
    const refused = { name: 'ProblemError', code: 'FIELD_INVALID' };
    const calls = [
      client.createNamespace(name),
      ...[client.delete(name, 'shares'), client.delete('shares', name)],
      ...[client.get(name, 'shares'), client.get('shares', name)],
      ...[client.put(name, 'shares', new Uint8Array(1)), client.put('shares', name, new Uint8Array(1))],
    ];
    for (const call of calls) await expect(call).rejects.toMatchObject(refused);
    // Nobody listens there: an attempt to send would be NODE_UNREACHABLE.
    const unsent = new AgentClient(join(folder, 'none.sock'));
    await expect(unsent.delete(name, 'shares')).rejects.toMatchObject(refused);
    await expect(unsent.delete('shares', name)).rejects.toMatchObject(refused);
    expect(await readShare()).toEqual(Uint8Array.of(1));
  });

  it('refuses ids of rituals that are no numbers, which JavaScript does not', async () => {
    // A program without types can pass any text.
    const id = '..' as unknown as number;
    await expect(client.deleteFragment(id)).rejects.toMatchObject({ code: 'FIELD_INVALID' });
    await expect(client.retrieveFragment(id)).rejects.toMatchObject({ code: 'FIELD_INVALID' });
    await expect(client.decryptionInputs(id, '0xA')).rejects.toMatchObject({ code: 'FIELD_INVALID' });
  });
});
