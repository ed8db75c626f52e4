import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentClient } from '../../src/client/client.ts';
import { silentLog } from '../../src/observe/log.ts';
import { askAgent } from '../support/ask-agent.ts';
import { type RunningNode, startRunningNode } from '../support/running-node.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('R13 latchkey/client with the agent of a running node', () => {
  let running: RunningNode;
  let agent: AgentClient;
  let socket: string;
  beforeAll(async () => {
    running = await startRunningNode(silentLog);
    socket = join(running.folder, 'agent.sock');
    agent = new AgentClient(socket);
  });
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
  });

  it('records: put, get, delete, with any name and up to the largest value', async () => {
    await agent.createNamespace('names');
    await agent.put('names', 'a/b ?%', bytes(1, 2));
    expect(await agent.get('names', 'a/b ?%')).toEqual(bytes(1, 2));
    await agent.delete('names', 'a/b ?%');
    await expect(agent.get('names', 'a/b ?%')).rejects.toMatchObject({ code: 'STORE_NAME_MISSING' });
    const large = new Uint8Array(8 * 1024 * 1024).fill(9);
    await agent.put('names', 'large', large);
    expect(Buffer.compare(await agent.get('names', 'large'), large)).toBe(0);
    expect(await agent.status()).toHaveProperty('state');
  });

  it('R13 rituals: the inputs of a decryption come only under the conditions of the ritual', async () => {
    const put = (path: string, body: unknown) => askAgent(socket, 'PUT', `/rituals/42${path}`, body);
    expect(await agent.storeFragment(42, 13_234_134, bytes(1, 0, 1))).toBe(true);
    expect(await agent.storeFragment(42, 13_234_134, bytes(1, 0, 1))).toBe(false);
    await expect(agent.decryptionInputs(42, '0xA')).rejects.toMatchObject({ code: 'RITUAL_NOT_ACTIVE' });
    const now = Math.floor(Date.now() / 1000);
    const numbers = { dkgSize: 1, threshold: 1, totalAggregations: 1, initTimestamp: 1 };
    const active = { ...numbers, endTimestamp: now + 3600, aggregatedTranscript: 'dA==', publicKey: 'cA==' };
    await put('/active', active);
    await put('/validators', { validators: [{ address: '0xA', publicKey: 'aw==' }] });
    expect(await agent.decryptionInputs(42, '0xA')).toEqual({
      ...{ id: 42, timestamp: 13_234_134, fragment: bytes(1, 0, 1) },
      ritual: { id: 42, ...active, aggregatedTranscript: bytes(0x74), publicKey: bytes(0x70) },
      ...{ validators: [{ address: '0xA', publicKey: bytes(0x6b) }], position: 0 },
    });
    await put('/conditions', { expiresAt: now - 1 });
    await expect(agent.decryptionInputs(42, '0xA')).rejects.toMatchObject({ code: 'RITUAL_EXPIRED' });
    await put('/conditions', {});
    await put('/active', { ...active, endTimestamp: now - 1 });
    await expect(agent.decryptionInputs(42, '0xA')).rejects.toMatchObject({ code: 'RITUAL_EXPIRED' });
    expect((await agent.retrieveFragment(42)).fragment).toEqual(bytes(1, 0, 1));
    await agent.deleteFragment(42);
    await expect(agent.retrieveFragment(42)).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
  });
});

describe('an agent that is none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-agent-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function withServer<T>(listener: RequestListener, task: (agent: AgentClient) => Promise<T>) {
    const path = join(folder, 'no-agent.sock');
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    try {
      return await task(new AgentClient(path, { quietMs: 500 }));
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }
  const failure = (listener: RequestListener) =>
    withServer(listener, (agent) => agent.retrieveFragment(1).then(String, (error) => error.code));
  const good = JSON.stringify({ id: 1, timestamp: 2, fragment: 'AAAA' });

  it('is told apart from one, and no fault shows a fragment', async () => {
    const answers = (text: string, status = 200) =>
      failure((_request, response) => void response.writeHead(status).end(text));
    expect(await answers(good)).toBe('[object Object]');
    for (const text of ['', 'hello', good.slice(0, -1), '{}', '[]', good.replace('AAAA', 'AAA')])
      expect(await answers(text), text).toBe('NODE_UNREACHABLE');
    expect(await answers('<html>', 500)).toBe('NODE_UNREACHABLE');
    expect(await answers('{"code":"MADE_UP"}', 500)).toBe('INTERNAL');
    const error = await withServer(
      (_request, response) => void response.end(good.replace('AAAA', 'SECRET')),
      (agent) => agent.retrieveFragment(1).catch((error: Error) => `${error.message} ${String(error.cause)}`),
    );
    expect(error).not.toContain('SECRET');
  });

  it('that says nothing, breaks off, or says too much is given up', async () => {
    expect(await failure(() => undefined)).toBe('NODE_UNREACHABLE');
    expect(
      await failure((_request, response) => {
        response.writeHead(200, { 'content-length': '1000' }).write(good);
        response.destroy();
      }),
    ).toBe('NODE_UNREACHABLE');
    expect(
      await failure((_request, response) => {
        const chunk = ' '.repeat(1024 * 1024);
        for (let count = 0; count < 25; count += 1) response.write(chunk);
        response.end(good);
      }),
    ).toBe('NODE_UNREACHABLE');
    await expect(new AgentClient(join(folder, 'none.sock')).status()).rejects.toMatchObject({
      code: 'NODE_UNREACHABLE',
    });
  });
});
