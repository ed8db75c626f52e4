import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { base58 } from '@scure/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileHandle, FileSystem } from '../../src/disk/file-system.ts';
import { nodeFileSystem } from '../../src/disk/node-file-system.ts';
import { silentLog } from '../../src/observe/log.ts';
import { askAgent } from '../support/ask-agent.ts';
import { runLatchkey } from '../support/run-latchkey.ts';
import { type RunningNode, startRunningNode } from '../support/running-node.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { obtainKey, type ReachableServer } from './independent-client.ts';

/** Steps build on one another. */
describe.sequential('the audit log of a running node', () => {
  let running: RunningNode;
  let server: ReachableServer;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  const account = crypto.getRandomValues(new Uint8Array(32));
  const file = () => join(folder.path, 'audit.jsonl');
  let head = '';

  beforeAll(async () => {
    folder = await tempFolder();
    running = await startRunningNode(silentLog);
    const info = (await (await fetch(`${running.url}/info`)).json()) as Record<string, string>;
    server = {
      url: running.url,
      account: base58.decode(info['accountId'] ?? '').slice(1, 33),
      x25519PublicKey: new Uint8Array(Buffer.from((info['x25519PublicKey'] ?? '').slice(2), 'hex')),
    };
  });

  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const exported = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const asking = request({ socketPath: join(running.folder, 'agent.sock'), path: '/audit' }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => resolve(text));
      });
      asking.on('error', reject);
      asking.end();
    });

  it('has the key in it before the client has the key', async () => {
    const made = await obtainKey(server, running.mockTdx.url, { account });
    const text = await exported();
    expect(text).toContain('"event":"node.started"');
    expect(text).toContain(made.keyId);
    expect(text).not.toContain((made.key ?? '').slice(2));
    writeFileSync(file(), text);
  });

  it('verifies offline', async () => {
    const verified = await runLatchkey(['audit', 'verify', file(), '--json']);
    expect(verified.code).toBe(0);
    const report = JSON.parse(verified.stdout);
    expect(report).toMatchObject({ follows: 0, events: { 'node.started': 1, 'key.released': 1 } });
    head = `${report.head.sequence}:${report.head.hash}`;
    const people = await runLatchkey([
      'audit',
      'verify',
      file(),
      '--head',
      head,
      '--account',
      report.account,
    ]);
    expect(people.stdout).toContain('1 of 1 heads');
    const seen = join(folder.path, 'seen.json');
    const [sequence, hash] = head.split(':');
    const heads = [{ server: report.account, sequence: Number(sequence), hash, seenAtMs: 1 }];
    writeFileSync(seen, JSON.stringify({ heads }));
    expect((await runLatchkey(['audit', 'verify', file(), '--heads', seen])).stdout).toContain(
      '1 of 1 heads',
    );
    const ahead = heads.map((one) => ({ ...one, sequence: one.sequence + 1 }));
    writeFileSync(seen, JSON.stringify({ heads: ahead }));
    expect((await runLatchkey(['audit', 'verify', file(), '--heads', seen])).stderr).toContain(
      'AUDIT_HEAD_OTHER',
    );
    writeFileSync(seen, '{"heads": 1}');
    expect((await runLatchkey(['audit', 'verify', file(), '--heads', seen])).stderr).toContain(
      'FIELD_INVALID',
    );
    const other = await runLatchkey([
      'audit',
      'verify',
      file(),
      '--head',
      `${head.slice(0, -1)}${head.endsWith('0') ? '1' : '0'}`,
    ]);
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining('AUDIT_HEAD_OTHER')]);
  });

  it('does not verify when a line is missing or changed', async () => {
    const lines = readFileSync(file(), 'utf8').trimEnd().split('\n');
    for (const changed of [
      lines.toSpliced(2, 1),
      lines.slice(0, -1),
      lines.with(2, (lines[2] ?? '').replace('true', 'false')),
    ]) {
      const path = join(folder.path, 'changed.jsonl');
      writeFileSync(path, `${changed.join('\n')}\n`);
      const verified = await runLatchkey(['audit', 'verify', path]);
      expect(verified.code).toBe(1);
      expect(verified.stderr).toMatch(/AUDIT_/);
    }
  });

  it('shows its head in the status of the node', async () => {
    const status = await askAgent(join(running.folder, 'agent.sock'), 'GET', '/status');
    expect(status?.json['audit']).toMatchObject({ behind: 0, sequence: Number(head.split(':')[0]) });
  });
});

/** A disk whose writes fail while a test says so, as one that is full does. */
function failingDisk(): { readonly fileSystem: FileSystem; isFull: boolean } {
  const disk = { isFull: false, fileSystem: nodeFileSystem };
  const refuse = (): void => {
    if (disk.isFull) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  };
  const withFaults = (file: FileHandle): FileHandle => ({
    readSync: (into, position) => file.readSync(into, position),
    write: async (parts, position) => {
      refuse();
      await file.write(parts, position);
    },
    sync: () => file.sync(),
    truncate: (length) => file.truncate(length),
    size: () => file.size(),
    close: () => file.close(),
  });
  disk.fileSystem = {
    ...nodeFileSystem,
    open: async (path, mode, options) => withFaults(await nodeFileSystem.open(path, mode, options)),
  };
  return disk;
}

describe.each([
  ['trust.audit.required', { audit: { required: true } }, false],
  ['the default', {}, true],
] as const)('a node with a disk that is full, under %s', (_title, trust, isGiven) => {
  it(
    isGiven
      ? 'gives the key without its entry'
      : 'gives no key without its entry, and gives it when there is room',
    async () => {
      const disk = failingDisk();
      await using running = await startRunningNode(silentLog, { trust, fileSystem: disk.fileSystem });
      const info = (await (await fetch(`${running.url}/info`)).json()) as Record<string, string>;
      const server: ReachableServer = {
        url: running.url,
        account: base58.decode(info['accountId'] ?? '').slice(1, 33),
        x25519PublicKey: new Uint8Array(Buffer.from((info['x25519PublicKey'] ?? '').slice(2), 'hex')),
      };
      const ask = () =>
        obtainKey(server, running.mockTdx.url, { account: new Uint8Array(32).fill(9) }).then(
          ({ key }) => (key === undefined ? 'no key' : 'a key'),
          (error: unknown) => String(error),
        );
      expect(await ask()).toBe('a key');
      disk.isFull = true;
      const refused = await ask();
      if (isGiven) {
        expect(refused).toBe('a key');
        return;
      }
      expect(refused).toContain('AUDIT_REQUIRED');
      disk.isFull = false;
      expect(await ask()).toBe('a key');
    },
  );
});
