import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { waitingLines } from '../../../src/cli/fleet/verify.ts';
import { startDecryptionsServer } from '../../../src/cli/shared/decryptions-server.ts';
import { environmentFindings } from '../../../src/cli/shared/doctor-findings.ts';
import { writeNewFile } from '../../../src/cli/shared/file-io.ts';
import { readUserFile } from '../../../src/cli/shared/user-file.ts';
import { readAll } from '../../../src/cli/store/io.ts';
import { loadDecryptionsConfig } from '../../../src/decryptions/decryptions-config.ts';
import { lossesOf } from '../../../src/fleet/losses.ts';
import { AuthorityWorld, DELAY_MS, freshState, hashOf, START_MS, seen } from '../../support/fleet-world.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const world = new AuthorityWorld();
const hash = hashOf('one');

describe('a manifest for people', () => {
  it('says what waits for its delay, and from when it counts for a new node', () => {
    const manifest = world.issue({ trustHashes: [{ hash, since: START_MS }] });
    const state = seen(freshState(world), manifest, START_MS);
    const until = new Date(START_MS + DELAY_MS).toISOString();
    expect(waitingLines(state, START_MS)).toEqual([`  waits until ${until}: trust-hash ${hash}`]);
    expect(waitingLines(state, START_MS + DELAY_MS)).toEqual([]);
  });

  it('names the end of a permission that is only shortened', () => {
    const former = world.issue({ trustHashes: [{ hash, since: START_MS }] });
    const until = START_MS + 1;
    const shortened = world.issue({ trustHashes: [{ hash, since: START_MS, until }] }, { serial: 2 });
    const end = new Date(until).toISOString();
    expect(lossesOf(former, shortened)).toEqual([`machines under the trust section ${hash}, from ${end} on`]);
    expect(lossesOf(former, world.issue({}, { serial: 2 }))).toEqual([
      `machines under the trust section ${hash}`,
    ]);
    expect(lossesOf(shortened, former)).toEqual([]);
  });
});

describe('doctor', () => {
  it('calls a variable wrong only where `serve` refuses it', () => {
    const unmeasured = [{ name: 'NODE_OPTIONS', effect: 'loads code' }];
    expect(environmentFindings(unmeasured, false)[0]).toMatchObject({ level: 'wrong' });
    expect(environmentFindings(unmeasured, true)[0]).toMatchObject({ level: 'warning' });
  });
});

describe('files of a person', () => {
  it('that are there or are not are named in words, without an option that does not exist', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'draft.json');
    const missing = readUserFile(path, 'manifest', 10);
    await expect(missing).rejects.toThrow(`manifest ${path}: there is no such file`);
    await writeFile(path, '');
    const taken = writeNewFile(path, 'out', async () => undefined);
    await expect(taken).rejects.toThrow('choose another name');
    await expect(taken).rejects.toMatchObject({ code: 'STORE_FILE_UNWRITABLE' });
  });
});

describe('a password that is read', () => {
  const chunk = () => new TextEncoder().encode('a password');

  it('leaves no chunk of the stream behind, also when the stream breaks off', async () => {
    const parts = [chunk(), chunk()];
    expect(new TextDecoder().decode(await readAll(stream(parts), 100))).toBe('a passworda password');
    expect(parts.flatMap((part) => [...part]).every((byte) => byte === 0)).toBe(true);
    const broken = [chunk()];
    await expect(readAll(stream(broken, new Error('broken')), 100)).rejects.toThrow('broken');
    expect([...(broken[0] ?? [1])].every((byte) => byte === 0)).toBe(true);
  });

  it.each([
    [
      'a certificate cannot be read',
      { endpoints: ['https://127.0.0.1:1'], tls: { caFile: '/nowhere/ca.pem' } },
    ],
    ['the cluster is not reached', { endpoints: ['http://127.0.0.1:1'] }],
  ])('of etcd, and a token, are wiped when %s', async (_why, settings) => {
    await using folder = await tempFolder();
    const file = join(folder.path, 'secret');
    await writeFile(file, 'a password of 20 byt');
    const wiped = new Set<unknown>();
    const wipe = SecretBytes.prototype.wipe;
    const spy = vi.spyOn(SecretBytes.prototype, 'wipe').mockImplementation(function (this: SecretBytes) {
      wiped.add(this);
      wipe.call(this);
    });
    try {
      const etcd = {
        user: { name: 'latchkey', passwordFile: file },
        requestTimeoutMs: 100,
        ...settings,
      };
      const writeAuthorization = { kind: 'bearer', tokenFile: file };
      const yaml = JSON.stringify({ default: { port: 0, engine: { etcd }, writeAuthorization } });
      const config = loadDecryptionsConfig(yaml, {}, 'release');
      await expect(startDecryptionsServer(config, () => undefined)).rejects.toThrow();
      // The token always; the password wherever it had been read before the failure.
      expect(wiped.size).toBe('tls' in settings ? 1 : 2);
    } finally {
      spy.mockRestore();
    }
  });
});

async function* stream(parts: readonly Uint8Array[], end?: Error): AsyncGenerator<Uint8Array> {
  yield* parts;
  if (end !== undefined) throw end;
}
