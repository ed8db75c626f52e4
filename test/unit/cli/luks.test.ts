import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { luksCommand } from '../../../src/cli/commands/luks.ts';
import { bindVolume, type LuksVolume, openVolume } from '../../../src/cli/luks/volume.ts';
import { systemRandom } from '../../../src/crypto/random.ts';
import { SealedStore } from '../../../src/store/sealed-store.ts';

const MEMORY_FOLDER = '/dev/shm';
const DEVICE_BYTES = 4 * 1024 * 1024;

/** Debian has it in the package cryptsetup-bin. Device-mapper is not used here: mapping needs root and a kernel module. */
const hasCryptsetup = spawnSync('cryptsetup', ['--version']).status === 0;

let folder = '';
let store: SealedStore;
let volume: LuksVolume;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-luks-'));
  store = await SealedStore.create({
    path: join(folder, 'store'),
    storeKey: new SecretBytes(systemRandom(32)),
  });
  volume = { name: 'data', device: join(folder, 'device'), memoryFolder: MEMORY_FOLDER };
  writeFileSync(volume.device, '');
  truncateSync(volume.device, DEVICE_BYTES);
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Replaces cryptsetup by a program that records its arguments and its input, and exits with a code. */
function recordCryptsetup(code: number): { readonly args: () => string; readonly input: () => Uint8Array } {
  const bin = mkdtempSync(join(folder, 'bin-'));
  const program = join(bin, 'cryptsetup');
  writeFileSync(program, `#!/bin/sh\necho "$@" > ${bin}/args\ncat > ${bin}/input\nexit ${code}\n`);
  chmodSync(program, 0o755);
  volume = { ...volume, searchPath: `${bin}:/usr/bin:/bin` };
  return {
    args: () => readFileSync(join(bin, 'args'), 'utf8').trim(),
    input: () => new Uint8Array(readFileSync(join(bin, 'input'))),
  };
}

const leftInMemory = (): readonly string[] =>
  readdirSync(MEMORY_FOLDER).filter((name) => name.startsWith('latchkey-luks-'));

describe.skipIf(!hasCryptsetup)(
  'a LUKS header in the store, with the real cryptsetup',
  { timeout: 120_000 },
  () => {
    it('bind does not change the device, and open succeeds with the stored header and passphrase', async () => {
      const before = leftInMemory();
      await bindVolume(store, volume);
      expect(readFileSync(volume.device).every((byte) => byte === 0)).toBe(true);
      await openVolume(store, volume, { testOnly: true });
      expect(leftInMemory()).toEqual(before);
    });

    it('a header that the host writes onto the device is not read', async () => {
      await bindVolume(store, volume);
      // The host formats the device itself, with a passphrase that it knows.
      truncateSync(volume.device, 32 * 1024 * 1024);
      const format = [
        'luksFormat',
        '--batch-mode',
        '--disable-locks',
        '--pbkdf',
        'pbkdf2',
        '--pbkdf-force-iterations',
      ];
      const host = spawnSync('cryptsetup', [...format, '1000', '--key-file', '-', volume.device], {
        input: 'known',
      });
      expect(host.stderr.toString()).toBe('');
      expect(readFileSync(volume.device).subarray(0, 4).toString('latin1')).toBe('LUKS');
      await openVolume(store, volume, { testOnly: true });
      // Had it been read, the passphrase of the host would open it, and ours would not.
      const records = await store.namespace('latchkey/luks');
      const ours = (await records.get('data/passphrase')) ?? new Uint8Array(0);
      const test = ['open', '--disable-locks', '--test-passphrase', '--key-file', '-', volume.device];
      expect(spawnSync('cryptsetup', test, { input: ours }).status).not.toBe(0);
      expect(spawnSync('cryptsetup', test, { input: 'known' }).status).toBe(0);
    });

    it('another passphrase does not open it', async () => {
      await bindVolume(store, volume);
      const records = await store.namespace('latchkey/luks');
      await records.put('data/passphrase', systemRandom(32));
      await expect(openVolume(store, volume, { testOnly: true })).rejects.toMatchObject({
        code: 'LUKS_CRYPTSETUP_FAILED',
      });
    });

    it('two volumes have different passphrases, and bind does not replace a passphrase', async () => {
      await bindVolume(store, volume);
      await bindVolume(store, { ...volume, name: 'logs' });
      const records = await store.namespace('latchkey/luks');
      const before = await records.get('data/header');
      expect(await records.get('data/passphrase')).not.toEqual(await records.get('logs/passphrase'));
      await expect(bindVolume(store, volume)).rejects.toMatchObject({ code: 'LUKS_VOLUME_EXISTS' });
      expect(await records.get('data/header')).toEqual(before);
    });
  },
);

describe('luks, with a recorder instead of cryptsetup', () => {
  it('maps the device by the detached header, and passes the passphrase on standard input', async () => {
    const passphrase = systemRandom(32);
    const records = await store.namespace('latchkey/luks');
    await records.put('data/header', Uint8Array.of(1, 2, 3));
    await records.put('data/passphrase', passphrase);
    const recorded = recordCryptsetup(0);
    await openVolume(store, volume, { testOnly: false });
    expect(recorded.args()).toMatch(
      new RegExp(
        `^open --disable-locks --type luks2 --key-file - --header ${MEMORY_FOLDER}/latchkey-luks-\\w+/header ${volume.device} data$`,
      ),
    );
    expect(recorded.input()).toEqual(passphrase);
  });

  it('keeps nothing in the store when formatting failed', async () => {
    recordCryptsetup(1);
    await expect(bindVolume(store, volume)).rejects.toMatchObject({ code: 'LUKS_CRYPTSETUP_FAILED' });
    expect(await (await store.namespace('latchkey/luks')).get('data/passphrase')).toBeUndefined();
  });

  it('reports a missing cryptsetup', async () => {
    await expect(bindVolume(store, { ...volume, searchPath: folder })).rejects.toMatchObject({
      code: 'LUKS_CRYPTSETUP_FAILED',
    });
  });

  it('refuses a folder on a disk, where the host could change the header', async () => {
    const recorded = recordCryptsetup(0);
    for (const memoryFolder of ['/proc', join(folder, 'missing')])
      await expect(bindVolume(store, { ...volume, memoryFolder })).rejects.toMatchObject({
        code: 'LUKS_FOLDER_NOT_IN_MEMORY',
      });
    expect(recorded.args).toThrow();
  });

  it('refuses to open a volume that was not bound', async () => {
    await expect(openVolume(store, volume, { testOnly: true })).rejects.toMatchObject({
      code: 'LUKS_VOLUME_MISSING',
    });
  });

  it.each(['../data', 'a/b', '', '-data', 'x'.repeat(65), 'a b'])('refuses the name %j', async (name) => {
    const command = luksCommand().exitOverride();
    for (const one of command.commands) one.exitOverride().configureOutput({ writeErr: () => undefined });
    await expect(
      command.parseAsync(['bind', '--config', 'none', `--name=${name}`, 'device'], { from: 'user' }),
    ).rejects.toMatchObject({ code: 'commander.invalidArgument' });
  });
});
