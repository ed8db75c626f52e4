import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parse, stringify } from 'yaml';
import { fleetCommand } from '../../../src/cli/commands/fleet.ts';
import { trustCommand } from '../../../src/cli/commands/trust.ts';
import { LAST_SERIAL } from '../../../src/fleet/fleet-header.ts';
import { readContent } from '../../../src/fleet/manifest.ts';
import { readManifestFile } from '../../../src/fleet/manifest-file.ts';
import { decodeSignedHeader } from '../../../src/fleet/signed-header.ts';
import { hashOf, idOf } from '../../support/fleet-world.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const genesis = `0x${'ab'.repeat(32)}`;

/** Runs a command in this process. @returns what it printed on standard output. */
async function run(...args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: unknown) => void lines.push(String(line)));
  const error = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const [group, ...rest] = args;
    await (group === 'trust' ? trustCommand() : fleetCommand()).parseAsync(rest, { from: 'user' });
  } finally {
    log.mockRestore();
    error.mockRestore();
  }
  return lines.join('\n');
}

const codeOfRun = (...args: readonly string[]): Promise<unknown> =>
  run(...args).then(
    () => 'none',
    (error: { readonly code?: string }) => error.code,
  );

/** A folder with an authority of three keys, and configurations of it and of its successor. */
async function ceremony(folder: string) {
  const at = (name: string): string => join(folder, name);
  await mkdir(at('keys'));
  await writeFile(at('password'), 'correct horse\n', { mode: 0o600 });
  const password = ['--password-file', at('password')];
  const printed = await run('fleet', 'keygen', '--folder', at('keys'), '--genesis', genesis, ...password);
  const { authority } = parse(printed) as { authority: { id: string; threshold: number; keys: string[] } };
  const config = (trust: object): string =>
    stringify({
      node: { dataFolder: './data' },
      chain: { endpoints: ['ws://127.0.0.1:1'] },
      quote: { source: 'configfs' },
      collateral: { endpoints: ['http://127.0.0.1:1'] },
      trust: { chain: { genesisHash: genesis }, ...trust },
    });
  await writeFile(at('config.yaml'), config({ authority }));
  await writeFile(at('plain.yaml'), config({}));
  const handover = await readManifest(at('keys/handover.json'));
  if (handover.content.body.kind !== 'handover') throw new TypeError('keygen made no handover');
  await writeFile(at('next.yaml'), config({ authority: handover.content.body.successor }));
  const sign = (file: string, key: string, out: string): Promise<string> =>
    run('fleet', 'sign', at(file), '--key', at(`keys/${key}.json`), ...password, '--out', at(out));
  return { at, password, authority, handover, sign };
}

async function readManifest(path: string) {
  const { signed, ...parts } = readManifestFile(await readFile(path, 'utf8'));
  const header = decodeSignedHeader(signed);
  return { ...header, content: readContent(header.header, parts) };
}

describe('latchkey fleet', () => {
  const folders: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await folder[Symbol.asyncDispose]();
  });
  async function start() {
    const folder = await tempFolder();
    folders.push(folder);
    return ceremony(folder.path);
  }

  it('keygen makes sealed keys and a handover that all keys signed', async () => {
    const { at, handover, authority } = await start();
    expect(authority).toMatchObject({ threshold: 2 });
    expect((await stat(at('keys/key-1.json'))).mode & 0o777).toBe(0o600);
    expect(handover.header.serial).toBe(LAST_SERIAL);
    expect(handover.signatures).toHaveLength(3);
    expect(await run('fleet', 'verify', at('keys/handover.json'), '--config', at('config.yaml'))).toContain(
      'good',
    );
  });

  it('draft, sign and verify, key by key', async () => {
    const { at, sign } = await start();
    const content = { measurements: [{ id: idOf('image') }], trustHashes: [{ hash: hashOf('two') }] };
    await writeFile(at('content.yaml'), stringify(content));
    const draft = ['fleet', 'draft', '--config', at('config.yaml')];
    expect(await run(...draft, '--content', at('content.yaml'), '--out', at('draft'))).toContain(
      idOf('image'),
    );
    expect(await codeOfRun('fleet', 'verify', at('draft'), '--config', at('config.yaml'))).toBe(
      'FLEET_SIGNATURES_TOO_FEW',
    );
    expect(await sign('draft', 'key-1', 'once')).toContain(idOf('image'));
    await sign('once', 'key-1', 'twice');
    expect(await codeOfRun('fleet', 'verify', at('twice'), '--config', at('config.yaml'))).toBe(
      'FLEET_SIGNATURES_TOO_FEW',
    );
    await sign('once', 'key-3', 'signed');
    expect(await run('fleet', 'verify', at('signed'), '--config', at('config.yaml'))).toContain('good');
    expect(await run('fleet', 'show', at('signed'))).toContain(`accepts the image ${idOf('image')}`);

    const { header, content: first } = await readManifest(at('signed'));
    await run(...draft, '--from', at('signed'), '--content', at('content.yaml'), '--out', at('second'));
    const second = await readManifest(at('second'));
    expect(second.header.serial).toBe(header.serial + 1);
    expect(second.content.body).toEqual(first.body);
  });

  it('draft refuses to take access away, unless it is meant', async () => {
    const { at, sign } = await start();
    await writeFile(at('content.yaml'), stringify({ measurements: [{ id: idOf('image') }] }));
    const draft = ['fleet', 'draft', '--config', at('config.yaml')];
    await run(...draft, '--content', at('content.yaml'), '--out', at('draft'));
    await sign('draft', 'key-1', 'once');
    await sign('once', 'key-2', 'signed');
    const empty = [...draft, '--from', at('signed'), '--out', at('empty')];
    expect(await codeOfRun(...empty)).toBe('FLEET_DRAFT_REFUSED');
    expect(await codeOfRun(...empty, '--accept-losses')).toBe('none');
  });

  it('draft takes no former manifest that the authority did not sign', async () => {
    const { at } = await start();
    const draft = ['fleet', 'draft', '--config', at('config.yaml')];
    await run(...draft, '--out', at('draft'));
    expect(await codeOfRun(...draft, '--from', at('draft'), '--out', at('next'))).toBe(
      'FLEET_SIGNATURES_TOO_FEW',
    );
  });

  it('after the handover the successor goes on, and the former authority does not', async () => {
    const { at, sign } = await start();
    const from = ['--from', at('keys/handover.json')];
    expect(
      await codeOfRun('fleet', 'draft', '--config', at('config.yaml'), ...from, '--out', at('after')),
    ).toBe('FLEET_DRAFT_REFUSED');
    await run('fleet', 'draft', '--config', at('next.yaml'), ...from, '--out', at('draft'));
    await sign('draft', 'successor-key-1', 'once');
    await sign('once', 'successor-key-2', 'signed');
    expect(await run('fleet', 'verify', at('signed'), '--config', at('next.yaml'))).toContain('good');
    const alone = ['fleet', 'verify', at('signed'), '--config', at('config.yaml')];
    expect(await codeOfRun(...alone)).toBe('FLEET_AUTHORITY_OTHER');
    const both = ['fleet', 'verify', at('keys/handover.json'), at('signed'), '--config', at('config.yaml')];
    expect(await run(...both)).toContain('good');
  });

  it('verify refuses what a node would refuse: an older manifest after a newer one', async () => {
    const { at, sign } = await start();
    const draft = ['fleet', 'draft', '--config', at('config.yaml')];
    await run(...draft, '--out', at('draft-1'));
    await run(...draft, '--from', await signed('draft-1', 'first'), '--out', at('draft-2'));
    const verify = ['fleet', 'verify', '--config', at('config.yaml')];
    const second = await signed('draft-2', 'second');
    expect(await codeOfRun(...verify, at('first'), second)).toBe('none');
    expect(await codeOfRun(...verify, second, at('first'))).toBe('FLEET_SERIAL_OLDER');

    async function signed(name: string, out: string): Promise<string> {
      await sign(name, 'key-1', `${out}-once`);
      await sign(`${out}-once`, 'key-2', out);
      return at(out);
    }
  });

  it('draft writes a handover to keys that people made elsewhere', async () => {
    const { at } = await start();
    const successor = { id: `0x${'0b'.repeat(16)}`, threshold: 1, keys: [(await ownKey(at)) as string] };
    await writeFile(at('successor.yaml'), stringify(successor));
    const args = [
      '--config',
      at('config.yaml'),
      '--successor',
      at('successor.yaml'),
      '--out',
      at('handover'),
    ];
    expect(await run('fleet', 'draft', ...args)).toContain(`HANDOVER: from now on authority ${successor.id}`);
  });
  const ownKey = async (at: (name: string) => string): Promise<unknown> =>
    (JSON.parse(await readFile(at('keys/key-1.json'), 'utf8')) as { publicKey: string }).publicKey;

  it.each([
    ['a manifest that is no JSON', 'x'],
    ['another format', '{"format":"latchkey-keyslots","version":1}'],
    ['a header that is no base64', '{"format":"latchkey-fleet-manifest","version":1,"header":"!","body":""}'],
  ])('refuses %s', async (_, text) => {
    const { at } = await start();
    await writeFile(at('bad'), text);
    expect(await codeOfRun('fleet', 'show', at('bad'))).toBe('FLEET_FILE_MALFORMED');
  });

  it('refuses a wrong password, an altered key file, YAML that is none, and a configuration without authority', async () => {
    const { at, sign } = await start();
    await run('fleet', 'draft', '--config', at('config.yaml'), '--out', at('draft'));
    await writeFile(at('wrong'), 'incorrect horse');
    const signing = ['fleet', 'sign', at('draft'), '--out', at('signed')];
    expect(await codeOfRun(...signing, '--key', at('keys/key-1.json'), '--password-file', at('wrong'))).toBe(
      'STORE_PASSWORD_WRONG',
    );
    const key = await readFile(at('keys/key-1.json'), 'utf8');
    const other = (await ownKey(at)) as string;
    await writeFile(at('keys/altered.json'), key.replace(other, `0x${'11'.repeat(32)}`));
    await expect(sign('draft', 'altered', 'signed')).rejects.toMatchObject({ code: 'FLEET_FILE_MALFORMED' });
    await writeFile(at('bad.yaml'), 'trustHashes: 5');
    const draft = ['fleet', 'draft', '--out', at('next'), '--content', at('bad.yaml'), '--config'];
    expect(await codeOfRun(...draft, at('config.yaml'))).toBe('FLEET_FILE_MALFORMED');
    expect(await codeOfRun(...draft, at('plain.yaml'))).toBe('CONFIG_INVALID');
  });

  it('trust diff says how two configurations differ', async () => {
    const { at } = await start();
    const printed = await run('trust', 'diff', at('plain.yaml'), at('config.yaml'));
    expect(printed).toContain('trust.authority: nothing becomes');
    expect(printed).toContain('REFUSE');
    expect(await run('trust', 'diff', at('plain.yaml'), at('plain.yaml'))).toContain('no difference');
  });
});
