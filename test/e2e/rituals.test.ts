import { cp, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { ritualsCommand } from '../../src/cli/commands/rituals.ts';
import type { StoreIo } from '../../src/cli/store/io.ts';
import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import { Datastore } from '../../src/rituals/datastore.ts';
import { SealedStore } from '../../src/store/sealed-store.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());
const at = (name: string): string => join(folder.path, name);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const storeKey = (fill = 1): SecretBytes => new SecretBytes(new Uint8Array(32).fill(fill));

/** Runs one command, as its arguments and stdin say. @returns what it printed. */
async function latchkeyRituals(
  args: readonly string[],
  stdin: Uint8Array = new Uint8Array(0),
): Promise<string> {
  const printed: Buffer[] = [];
  const collect = (into: Buffer[]) =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        into.push(Buffer.from(chunk));
        done();
      },
    });
  const io: StoreIo = {
    stdin: (async function* () {
      yield stdin;
    })(),
    stdout: collect(printed),
    stderr: collect([]),
    terminal: { stdin: false, stdout: false, stderr: false },
    exit: () => undefined,
  };
  await ritualsCommand(io)
    .exitOverride()
    .parseAsync([...args], { from: 'user' });
  return Buffer.concat(printed).toString();
}
const codeOf = (error: unknown): unknown => (error instanceof LatchkeyError ? error.code : error);

async function* chunksOf(whole: Uint8Array): AsyncGenerator<Uint8Array> {
  yield whole;
}

describe('R5 backup', () => {
  async function backupOf(store: SealedStore): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    await store.backup(async (part) => void parts.push(part.slice()));
    return new Uint8Array(Buffer.concat(parts));
  }

  it('R5 backup while writing: the restored datastore equals one past state, and takes further writes', async () => {
    const store = await SealedStore.create({ path: at('store'), storeKey: storeKey() });
    const datastore = await Datastore.initialize(store);
    for (let id = 0; id < 40; id += 1) await datastore.storeFragment(id, 1000 + id, bytes(id));
    let isWriting = true;
    const writing = (async () => {
      for (let id = 40; isWriting; id += 1) {
        await datastore.storeFragment(id, 1000 + id, bytes(id & 255));
        await datastore.deleteFragment(id - 40);
      }
    })();
    const whole = await backupOf(store);
    isWriting = false;
    await writing;
    await store.close();

    const restored = await Datastore.restore({
      path: at('restored'),
      storeKey: storeKey(),
      source: chunksOf(whole),
    });
    const rituals = await restored.datastore.list();
    expect(rituals.length).toBeGreaterThanOrEqual(40);
    const first = rituals[0]?.id ?? -1;
    for (const [index, { id, timestamp }] of rituals.entries()) {
      expect([id, timestamp]).toEqual([first + index, 1000 + first + index]);
      expect((await restored.datastore.retrieveFragment(id)).fragment).toEqual(bytes(id & 255));
    }
    await restored.datastore.storeFragment(5000, 1, bytes(5));
    await restored.datastore.deleteFragment(first);
    await restored.store.close();
  });

  it('R5 refuses the wrong key, a truncated or edited backup, and a place that is not empty', async () => {
    const store = await SealedStore.create({ path: at('store'), storeKey: storeKey() });
    const datastore = await Datastore.initialize(store);
    for (let id = 0; id < 5; id += 1) await datastore.storeFragment(id, id, bytes(id));
    const whole = await backupOf(store);
    await store.close();
    const restore = (source: Uint8Array, key = storeKey(), path = at('restored')) =>
      Datastore.restore({ path, storeKey: key, source: chunksOf(source) }).then(async (restored) => {
        await restored.store.close();
        return 'restored';
      }, codeOf);
    expect(await restore(whole, storeKey(2))).toBe('STORE_WRONG_KEY');
    for (let length = 0; length < whole.length; length += 37)
      expect(await restore(whole.subarray(0, length))).toMatch(/^STORE_/);
    for (let index = 0; index < whole.length; index += 29) {
      const edited = whole.slice();
      edited[index] = (edited[index] ?? 0) ^ 1;
      expect(await restore(edited)).toMatch(/^STORE_/);
    }
    expect(await restore(whole, storeKey(), at('store'))).toMatch(/^STORE_(EXISTS|PLACE_NOT_EMPTY)$/);
    expect(await restore(whole)).toBe('restored');
  });

  it('R12 no part of a fragment, revoked or not, is readable in the files', async () => {
    const store = await SealedStore.create({ path: at('store'), storeKey: storeKey() });
    const datastore = await Datastore.initialize(store);
    const fragment = new TextEncoder().encode('a fragment that nobody may read');
    await datastore.storeFragment(1, 1_700_000_000, fragment);
    await datastore.storeFragment(2, 1_700_000_000, fragment);
    await datastore.deleteFragment(1);
    await store.close();
    for (const name of await readdir(at('store'))) {
      const content = await readFile(join(at('store'), name));
      for (const needle of [Buffer.from(fragment), Buffer.from('rituals/'), Buffer.from('0000000000000001')])
        expect(content.includes(needle)).toBe(false);
    }
  });
});

describe('R12 revocation on the disk', () => {
  it('R12 an old log with the keys from after the revocation does not give the fragment back', async () => {
    const store = await SealedStore.create({ path: at('store'), storeKey: storeKey() });
    const datastore = await Datastore.initialize(store);
    for (let id = 0; id < 40; id += 1) await datastore.storeFragment(id, id, bytes(id));
    await cp(at('store'), at('before'), {
      recursive: true,
      // The lock is a socket, which no copy can hold.
      filter: (file) => !basename(file).startsWith('LOCK'),
    });
    await datastore.deleteFragment(7);
    await store.close();

    const open = async (path: string) => {
      await using copy = await SealedStore.open({ path, storeKey: storeKey() });
      return (await (await Datastore.initialize(copy)).retrieveFragment(7)).fragment;
    };
    // With the store key and the keys of then it does: the control.
    expect(await open(at('before'))).toEqual(bytes(7));
    await cp(at('store/keys-0000000001'), at('before/keys-0000000001'));
    await expect(open(at('before'))).rejects.toMatchObject({ code: 'STORE_NAMESPACE_KEY_DAMAGED' });
    await expect(open(at('store'))).rejects.toMatchObject({ code: 'RITUAL_NOT_FOUND' });
    await using after = await SealedStore.open({ path: at('store'), storeKey: storeKey() });
    expect((await (await Datastore.initialize(after)).retrieveFragment(8)).fragment).toEqual(bytes(8));
  });
});

describe('R11 latchkey rituals', () => {
  const config = (): string[] => ['--config', at('rituals.json')];
  const init = async (): Promise<void> => {
    await writeFile(at('password'), 'a long password\n', { mode: 0o600 });
    await latchkeyRituals(['init', ...config(), '--path', at('store'), '--password-file', at('password')]);
  };

  it('R11 init, store, list, get, revoke', async () => {
    await init();
    expect(await latchkeyRituals(['store', '42', '13234134', ...config()], Buffer.from('0101010101'))).toBe(
      'stored\n',
    );
    expect(await latchkeyRituals(['store', '42', '13234134', ...config()], Buffer.from('0101010101'))).toBe(
      'there already\n',
    );
    await latchkeyRituals(['store', '43', '99', ...config()], bytes(1, 2));
    expect(await latchkeyRituals(['list', '--json', ...config()])).toBe(
      '{"id":43,"timestamp":99}\n{"id":42,"timestamp":13234134}\n',
    );
    expect(await latchkeyRituals(['list', '--expired', '99', ...config()])).toBe(
      '43\t99\t1970-01-01T00:01:39.000Z\n',
    );
    expect(await latchkeyRituals(['get', '43', ...config()])).toBe('0102\n');
    expect(await latchkeyRituals(['get', '42', '--raw', ...config()])).toBe('0101010101');
    await latchkeyRituals(['revoke', '42', ...config()]);
    expect(codeOf(await latchkeyRituals(['get', '42', ...config()]).catch((error) => error))).toBe(
      'RITUAL_NOT_FOUND',
    );
    expect(await latchkeyRituals(['revoke-expired', '99', ...config()])).toBe('erased 1\n');
    for (const id of ['-1', '1.5', 'x', '99999999999999999'])
      expect(codeOf(await latchkeyRituals(['get', ...config(), '--', id]).catch((error) => error))).toBe(
        'FIELD_INVALID',
      );
  });

  it('R11 init replaces neither a configuration nor a store', async () => {
    await init();
    const before = await readFile(at('rituals.json'), 'utf8');
    expect(codeOf(await init().catch((error) => error))).toBe('RITUALS_CONFIG_INVALID');
    const other = [
      'init',
      '--config',
      at('other.json'),
      '--path',
      at('store'),
      '--password-file',
      at('password'),
    ];
    expect(codeOf(await latchkeyRituals(other).catch((error) => error))).toMatch(/^STORE_/);
    expect(await readFile(at('rituals.json'), 'utf8')).toBe(before);
    await expect(stat(at('other.json'))).rejects.toThrow();
  });

  it('R11 backup and restore into an empty folder need the password only', async () => {
    await init();
    await latchkeyRituals(['store', '1', '10', ...config()], bytes(7));
    await latchkeyRituals(['backup', ...config()]);
    await latchkeyRituals(['store', '2', '20', ...config()], bytes(8));
    await latchkeyRituals(['backup', ...config(), '--to', at('second.backup')]);
    expect(codeOf(await latchkeyRituals(['restore', ...config()]).catch((error) => error))).toMatch(
      /^STORE_/,
    );
    await latchkeyRituals(['config', ...config(), '--path', at('elsewhere')]);
    expect(await latchkeyRituals(['restore', ...config(), '--from', at('second.backup')])).toContain(
      '2 rituals',
    );
    expect(await latchkeyRituals(['get', '2', ...config()])).toBe('08\n');
    await latchkeyRituals(['config', ...config(), '--path', at('third')]);
    await writeFile(at('password'), 'another password');
    expect(codeOf(await latchkeyRituals(['restore', ...config()]).catch((error) => error))).toBe(
      'STORE_PASSWORD_WRONG',
    );
    await writeFile(at('password'), 'a long password');
    const whole = await readFile(at('second.backup'));
    for (const length of [0, 5, 9, 40, whole.length - 1]) {
      await writeFile(at('cut.backup'), whole.subarray(0, length));
      const error = await latchkeyRituals(['restore', ...config(), '--from', at('cut.backup')]).catch(
        (caught) => caught,
      );
      expect(codeOf(error)).toMatch(/^STORE_/);
    }
  });

  it('R5 a backup as JSON, by its name, is sealed as the other one, and restores as it does', async () => {
    await init();
    await latchkeyRituals(['config', ...config(), '--backup-location', at('backup.json')]);
    await latchkeyRituals(
      ['store', '123456789', '1730000001', ...config()],
      Buffer.from('a secret fragment'),
    );
    await latchkeyRituals(['backup', ...config()]);
    const text = await readFile(at('backup.json'), 'utf8');
    expect(Object.keys(JSON.parse(text))).toEqual(['format', 'version', 'about', 'sealed']);
    expect((await stat(at('backup.json'))).mode & 0o077).toBe(0);
    // What a thief of the file sees: no fragment, no id, no time, in no encoding of the file.
    const seen = Buffer.concat(
      JSON.parse(text).sealed.map((part: string) => Buffer.from(part, 'base64')),
    ).toString('latin1');
    const hex = Buffer.from('a secret fragment').toString('hex');
    for (const secret of ['secret fragment', hex, Buffer.from('a secret fragment').toString('base64')])
      for (const shown of [text, seen]) expect(shown).not.toContain(secret);
    for (const shown of [text, seen])
      expect(shown).not.toMatch(/123456789|1730000001|rituals\/|a long password/);
    // Another program may have written the JSON anew, and another name does not matter.
    await writeFile(at('copy'), `\n ${JSON.stringify(JSON.parse(text), null, 4)}`);
    for (const from of ['backup.json', 'copy']) {
      await latchkeyRituals(['config', ...config(), '--path', at(`from-${from}`)]);
      expect(await latchkeyRituals(['restore', ...config(), '--from', at(from)])).toContain('1 rituals');
      expect(await latchkeyRituals(['get', '123456789', ...config(), '--raw'])).toBe('a secret fragment');
    }
  });

  it('R5 a backup as JSON that is cut off, edited or another document makes no store', async () => {
    await init();
    await latchkeyRituals(['store', '1', '10', ...config()], bytes(7));
    await latchkeyRituals(['backup', ...config(), '--to', at('backup.json')]);
    const text = await readFile(at('backup.json'), 'utf8');
    await latchkeyRituals(['config', ...config(), '--path', at('elsewhere')]);
    const restored = async (changed: string | Uint8Array) => {
      await writeFile(at('changed.json'), changed);
      const args = ['restore', ...config(), '--from', at('changed.json')];
      return codeOf(await latchkeyRituals(args).catch((error) => error));
    };
    for (let length = 0; length < text.trimEnd().length; length += 211)
      expect(await restored(text.slice(0, length)), `${length}`).toMatch(/^STORE_BACKUP_/);
    const file = JSON.parse(text);
    const [part] = file.sealed as [string];
    const other = (change: object) => restored(JSON.stringify({ ...file, ...change }));
    for (let index = 20; index < part.length - 2; index += 499) {
      const letter = part[index] === 'A' ? 'B' : 'A';
      const edited = part.slice(0, index) + letter + part.slice(index + 1);
      expect(await other({ sealed: [edited] }), `${index}`).toMatch(/^STORE_/);
    }
    expect(await other({ sealed: [part, part] })).toMatch(/^STORE_/);
    for (const change of [
      ...[{ version: 2 }, { format: 'other' }, { more: 1 }, { sealed: part }, { sealed: [1] }],
      ...[
        { sealed: [`${part}\n`] },
        { sealed: ['%%%%'] },
        { sealed: [] },
        { sealed: Array(300_000).fill('') },
      ],
    ])
      expect(await other(change), JSON.stringify(change).slice(0, 40)).toBe('STORE_BACKUP_INVALID');
    expect(await restored(Buffer.from([0x7b, 0xff, 0x7d]))).toBe('STORE_BACKUP_INVALID');
    await writeFile(at('password'), 'another password');
    expect(await restored(text)).toBe('STORE_PASSWORD_WRONG');
    // At most the empty folder is there.
    expect(await readdir(at('elsewhere')).catch(() => [])).toEqual([]);
    await writeFile(at('password'), 'a long password');
    expect(await restored(text)).toContain('1 rituals');
  });

  it('R5 a backup replaces neither the configuration nor the password', async () => {
    await init();
    for (const name of ['rituals.json', 'password']) {
      const before = await readFile(at(name), 'utf8');
      const args = ['backup', ...config(), '--to', at(name)];
      expect(codeOf(await latchkeyRituals(args).catch((error) => error))).toBe('FIELD_INVALID');
      expect(await readFile(at(name), 'utf8')).toBe(before);
    }
  });

  it('R5 a backup replaces nothing of the store, and neither file by another path to it', async () => {
    await init();
    await symlink(folder.path, at('link'));
    // What is written first has `.new` behind its name.
    await rename(at('password'), at('password.new'));
    await latchkeyRituals(['config', ...config(), '--password-file', at('password.new')]);
    const before = await Promise.all(
      ['store/MANIFEST', 'password.new', 'rituals.json'].map((name) => readFile(at(name))),
    );
    for (const name of [
      'store/MANIFEST',
      'store/a.json',
      'link/store/MANIFEST',
      'link/rituals.json',
      'password',
    ]) {
      const args = ['backup', ...config(), '--to', at(name)];
      expect(codeOf(await latchkeyRituals(args).catch((error) => error)), name).toBe('FIELD_INVALID');
    }
    const after = ['store/MANIFEST', 'password.new', 'rituals.json'].map((name) => readFile(at(name)));
    expect(await Promise.all(after)).toEqual(before);
  });

  it('R11 an older configuration is migrated and its file kept; a newer configuration is refused', async () => {
    await init();
    await latchkeyRituals(['store', '1', '10', ...config()], bytes(7));
    const older = JSON.stringify({ db_path: at('store'), password_file: at('password') });
    await writeFile(at('rituals.json'), older);
    // Reading commands take the older file as it is.
    expect(await latchkeyRituals(['get', '1', ...config()])).toBe('07\n');
    expect(await readFile(at('rituals.json'), 'utf8')).toBe(older);
    await latchkeyRituals(['config', ...config(), '--backup-location', at('b')]);
    expect(JSON.parse(await readFile(at('rituals.json'), 'utf8'))).toEqual({
      version: 3,
      store: { path: at('store'), passwordFile: at('password') },
      backup: { location: at('b') },
      conditions: { required: false },
    });
    expect(await readFile(at('rituals.json.v1'), 'utf8')).toBe(older);
    expect(await latchkeyRituals(['get', '1', ...config()])).toBe('07\n');
    const second = JSON.stringify({
      version: 2,
      store: { path: at('store'), passwordFile: at('password') },
      backup: { location: at('b') },
    });
    await writeFile(at('rituals.json'), second);
    expect(await latchkeyRituals(['get', '1', ...config()])).toBe('07\n');
    expect(JSON.parse(await latchkeyRituals(['config', ...config()]))).toMatchObject({
      version: 3,
      conditions: { required: false },
    });
    expect(await readFile(at('rituals.json.v2'), 'utf8')).toBe(second);
    for (const [text, code] of [
      ['{"version":4}', 'RITUALS_CONFIG_VERSION'],
      ['{"version":3}', 'RITUALS_CONFIG_INVALID'],
      ['{"version":"2"}', 'RITUALS_CONFIG_VERSION'],
      [
        '{"version":2,"store":{"path":"relative","passwordFile":"/p"},"backup":{"location":"/b"}}',
        'RITUALS_CONFIG_INVALID',
      ],
      ['{"version":1,"db_path":"/x","password_file":"/p","more":1}', 'RITUALS_CONFIG_INVALID'],
      ['not json', 'RITUALS_CONFIG_INVALID'],
      ['null', 'RITUALS_CONFIG_INVALID'],
    ] as const) {
      await writeFile(at('rituals.json'), text);
      expect(codeOf(await latchkeyRituals(['list', ...config()]).catch((error) => error))).toBe(code);
    }
  });
});

describe('R10 the guard of the command line', () => {
  const config = (): readonly string[] => ['--config', at('rituals.json')];
  const refusal = async (...args: readonly string[]) =>
    codeOf(await latchkeyRituals([...args, ...config()], bytes(7)).catch((error) => error));
  const init = async (...more: readonly string[]) => {
    await writeFile(at('password'), 'a long password');
    const place = ['--path', at('store'), '--password-file', at('password')];
    await latchkeyRituals(['init', ...config(), ...place, ...more]);
  };
  const set = (id: string, ...stated: readonly string[]) =>
    latchkeyRituals(['conditions', 'set', id, ...stated, ...config()]);
  const met = ['--authorized', 'true', '--paid', 'true', '--expires-at', '9999999999'];

  it('R10 every command refuses an operation that the conditions of a ritual do not allow', async () => {
    await init();
    expect(await refusal('store', '1', '10')).toBe('stored\n');
    await set('1', '--authorized', 'false');
    for (const command of [
      ['get', '1'],
      ['store', '1', '10'],
      ['revoke', '1'],
      ['revoke-expired', '99'],
    ])
      expect(await refusal(...command)).toBe('RITUAL_UNAUTHORIZED');
    await set('1', '--paid', 'false');
    expect(await refusal('get', '1')).toBe('RITUAL_UNPAID');
    await set('1', '--expires-at', '1000');
    expect(await refusal('get', '1')).toBe('RITUAL_EXPIRED');
    expect(JSON.parse(await latchkeyRituals(['conditions', 'get', '1', ...config()]))).toEqual({
      expiresAt: 1000,
    });
    expect(await refusal('revoke', '1')).toBe('erased\n');
    expect(await refusal('conditions', 'remove', '1')).toBe('removed\n');
    expect(await refusal('conditions', 'remove', '1')).toBe('RITUAL_ENTRY_NOT_FOUND');
    expect(await refusal('conditions', 'get', '1')).toBe('RITUAL_ENTRY_NOT_FOUND');
  });

  it('R10 with requireConditions, a ritual without stated conditions is refused', async () => {
    await init('--require-conditions', 'true');
    expect(await refusal('store', '1', '10')).toBe('RITUAL_UNAUTHORIZED');
    await set('1', ...met);
    expect(await refusal('store', '1', '10')).toBe('stored\n');
    expect(await refusal('get', '1')).toBe('07\n');
    await set('1', '--authorized', 'true', '--paid', 'true');
    expect(await refusal('get', '1')).toBe('RITUAL_EXPIRED');
    expect(await refusal('list')).toContain('1\t10\t');
    await latchkeyRituals(['config', '--require-conditions', 'false', ...config()]);
    expect(await refusal('get', '1')).toBe('07\n');
    await latchkeyRituals(['config', '--require-conditions', 'true', ...config()]);
    expect(await refusal('get', '1')).toBe('RITUAL_EXPIRED');
  });

  it('R10 revoke-expired erases the allowed rituals, and then reports the first refusal', async () => {
    await init();
    for (const id of ['1', '2', '3']) await refusal('store', id, '10');
    await set('2', '--authorized', 'false');
    expect(await refusal('revoke-expired', '10')).toBe('RITUAL_UNAUTHORIZED');
    expect(await refusal('list', '--json')).toBe('{"id":2,"timestamp":10}\n');
  });

  it('a condition that is not a boolean or a time is refused, and so is an empty list of conditions', async () => {
    await init();
    for (const wrong of [['--authorized', 'yes'], ['--paid', ''], ['--expires-at', 'soon'], []])
      expect(codeOf(await set('1', ...wrong).catch((error: unknown) => error))).toBe('FIELD_INVALID');
    expect(await refusal('config', '--require-conditions', 'yes')).toBe('FIELD_INVALID');
  });
});
