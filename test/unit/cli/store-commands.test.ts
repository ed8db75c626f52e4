import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { storeCommand } from '../../../src/cli/commands/store.ts';
import { nodeFileSystem } from '../../../src/disk/node-file-system.ts';
import { passwordFromFile } from '../../../src/store/keys/password.ts';
import { openPasswordStore } from '../../../src/store/password-store.ts';

let folder = '';
let path = '';
let passwordFile = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'latchkey-cli-'));
  path = join(folder, 'store');
  passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, 'correct horse\n');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Ran {
  readonly out: string;
  readonly code: number;
}

/** Runs a command as the program does, with streams of its own. */
async function run(args: readonly string[], input: string | Uint8Array = '', place = path): Promise<Ran> {
  const stdout = new PassThrough();
  const chunks: Buffer[] = [];
  stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  let code = 0;
  const command = storeCommand({
    stdin: (async function* () {
      if (input.length > 0) yield typeof input === 'string' ? utf8(input) : input;
    })(),
    stdout,
    stderr: new PassThrough().resume(),
    terminal: { stdin: false, stdout: false, stderr: false },
    exit: (wanted) => {
      code = wanted;
    },
  });
  await command.parseAsync([...args, '--path', place, '--password-file', passwordFile], { from: 'user' });
  return { out: Buffer.concat(chunks).toString('latin1'), code };
}

const linesOf = (out: string): unknown[] =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);

const b64 = (text: string): string => Buffer.from(text).toString('base64');
const record = (name: string, value: string): string => JSON.stringify({ name, value: b64(value) });

describe('latchkey store', () => {
  it('creates, puts, gets, lists and deletes', async () => {
    await run(['create']);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect((await run(['put', 'a', '--json'], 'one\n')).out).toBe('{"ack":"a"}\n');
    const file = join(folder, 'value');
    writeFileSync(file, Uint8Array.of(0, 255));
    expect((await run(['put', 'b', '--value-file', file])).out).toBe('');
    expect((await run(['get', 'a'])).out).toBe('one\n');
    expect((await run(['get', 'b'])).out).toBe('\u0000\u00ff');
    expect(linesOf((await run(['get', 'b', '--json'])).out)).toEqual([{ name: 'b', value: 'AP8=' }]);
    expect((await run(['list'])).out).toBe('a\nb\n');
    expect(linesOf((await run(['list', '--json', '--prefix', 'b'])).out)).toEqual([{ name: 'b' }]);
    expect(linesOf((await run(['delete', 'a', '--json'])).out)).toEqual([{ deleted: 'a' }]);
    await expect(run(['get', 'a'])).rejects.toMatchObject({ code: 'STORE_NAME_MISSING' });
    await expect(run(['delete', 'a'])).rejects.toMatchObject({ code: 'STORE_NAME_MISSING' });
  });

  it('get --out makes a file for its owner only, and overwrites none', async () => {
    await run(['create']);
    await run(['put', 'a'], 'secret');
    const out = join(folder, 'out');
    await run(['get', 'a', '--out', out]);
    expect(readFileSync(out, 'utf8')).toBe('secret');
    expect(statSync(out).mode & 0o777).toBe(0o600);
    await expect(run(['get', 'a', '--out', out])).rejects.toMatchObject({ code: 'STORE_FILE_UNWRITABLE' });
  });

  it('put --if-absent keeps an existing value', async () => {
    await run(['create']);
    await run(['put', 'a', '--if-absent'], 'one');
    await expect(run(['put', 'a', '--if-absent'], 'two')).rejects.toMatchObject({ code: 'STORE_NAME_TAKEN' });
    expect((await run(['get', 'a'])).out).toBe('one');
  });

  it('import acknowledges each record, export gives them back', async () => {
    await run(['create']);
    const names = Array.from({ length: 500 }, (_, index) => `name-${String(index).padStart(3, '0')}`);
    const input = names.map((name) => record(name, `value of ${name}`)).join('\n');
    const acks = linesOf((await run(['import'], input)).out);
    expect(acks.length).toBe(500);
    expect(new Set(acks.map((ack) => JSON.stringify(ack))).size).toBe(500);
    expect(acks).toContainEqual({ ack: 'name-123' });
    expect((await run(['export'])).out).toBe(`${input}\n`);
  });

  it('export and import keep the erasable flag of a namespace', async () => {
    await run(['create']);
    const place = { path, password: passwordFromFile(utf8('correct horse')), fileSystem: nodeFileSystem };
    const store = await openPasswordStore(place);
    await (await store.namespace('secret', { erasable: true })).put('a', utf8('1'));
    await (await store.namespace('plain')).put('b', utf8('2'));
    await store.close();
    const { out } = await run(['export', '--all']);
    expect(linesOf(out)).toEqual([
      { namespace: 'plain', name: 'b', value: b64('2') },
      { namespace: 'secret', name: 'a', value: b64('1'), erasable: true },
    ]);
    const other = join(folder, 'other');
    await run(['create'], '', other);
    await run(['import'], out, other);
    expect((await run(['export', '--all'], '', other)).out).toBe(out);
    const copy = await openPasswordStore({ ...place, path: other });
    expect(await copy.eraseNamespace('secret')).toBe(true);
    await expect(copy.eraseNamespace('plain')).rejects.toMatchObject({ code: 'STORE_NAMESPACE_KIND' });
    await copy.close();
    // A record that is to be erasable does not go where it cannot be erased.
    const line = JSON.stringify({ namespace: 'plain', name: 'c', value: b64('3'), erasable: true });
    await expect(run(['import'], line, other)).rejects.toMatchObject({ code: 'STORE_NAMESPACE_KIND' });
    expect(linesOf((await run(['export', '--namespace', 'plain'], '', other)).out)).toHaveLength(1);
  });

  it('export --all and import move all namespaces to another store', async () => {
    await run(['create']);
    await run(['put', 'a', '--namespace', 'one'], '1');
    await run(['put', 'a', '--namespace', 'two'], '2');
    const { out } = await run(['export', '--all']);
    const other = join(folder, 'other');
    await run(['create'], '', other);
    await run(['import'], out, other);
    expect((await run(['export', '--all'], '', other)).out).toBe(out);
    expect((await run(['get', 'a', '--namespace', 'two'], '', other)).out).toBe('2');
  });

  it('a bad line stops the import; records before it are stored and acknowledged', async () => {
    await run(['create']);
    const input = `${record('a', '1')}\n{"name":"b"}\n${record('c', '3')}\n`;
    await expect(run(['import'], input)).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'line 2' });
    expect((await run(['list'])).out).toBe('a\n');
  });

  it('a record that cannot be stored makes no namespace', async () => {
    await run(['create']);
    const input = `${JSON.stringify({ namespace: 'elsewhere', name: '', value: '' })}\n`;
    await expect(run(['import'], input)).rejects.toMatchObject({ code: 'STORE_NAME_INVALID' });
    expect(JSON.parse((await run(['stat', '--json'])).out)).toMatchObject({ namespaces: 0 });
  });

  it('V9 backup and restore; a wrong password, a truncated or edited backup and a non-empty folder are refused', async () => {
    await run(['create']);
    await run(['import'], [record('a', '1'), record('b', '2')].join('\n'));
    const file = join(folder, 'backup');
    const made = JSON.parse((await run(['backup', '--to', file, '--json'])).out) as object;
    expect(made).toMatchObject({ records: 2, namespaces: 1, valueBytes: 2 });
    await expect(run(['backup', '--to', file])).rejects.toMatchObject({ code: 'STORE_FILE_UNWRITABLE' });
    expect(readdirSync(folder).filter((name) => name.includes('unfinished'))).toEqual([]);
    const other = join(folder, 'other');
    await run(['restore', '--from', file], '', other);
    expect((await run(['export'], '', other)).out).toBe((await run(['export'])).out);
    await expect(run(['restore', '--from', file], '', other)).rejects.toMatchObject({ code: 'STORE_EXISTS' });

    const bytes = readFileSync(file);
    const attempts: readonly (readonly [Uint8Array, RegExp])[] = [
      [bytes.subarray(0, 50), /^STORE_BACKUP_TRUNCATED$/],
      [bytes.subarray(0, bytes.length - 1), /^STORE_BACKUP_/],
      [bytes.subarray(0, 112), /^STORE_BACKUP_/],
      [new Uint8Array(bytes).with(bytes.length - 20, (bytes.at(-20) ?? 0) ^ 1), /^STORE_BACKUP_DAMAGED$/],
      [new Uint8Array(bytes).with(20, (bytes[20] ?? 0) ^ 1), /^STORE_PASSWORD_WRONG$/],
      [new Uint8Array(bytes).with(4, 9), /^STORE_PASSWORD_HEADER$/],
      [utf8(`${bytes.toString('latin1')}x`), /^STORE_/],
    ];
    for (const [index, [altered, code]] of attempts.entries()) {
      const from = join(folder, `altered-${index}`);
      writeFileSync(from, altered);
      const place = join(folder, `place-${index}`);
      await expect(run(['restore', '--from', from], '', place)).rejects.toMatchObject({
        code: expect.stringMatching(code),
      });
      await expect(run(['list'], '', place)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    }
    writeFileSync(passwordFile, 'another');
    await expect(run(['restore', '--from', file], '', join(folder, 'x'))).rejects.toMatchObject({
      code: 'STORE_PASSWORD_WRONG',
    });
  });

  it('reads and backs up while another process has the store open; writing is refused', async () => {
    await run(['create']);
    await run(['put', 'a'], 'one');
    const place = { path, password: passwordFromFile(utf8('correct horse')), fileSystem: nodeFileSystem };
    const store = await openPasswordStore(place);
    try {
      const names = await store.namespace('default');
      await names.put('b', utf8('two'));
      expect((await run(['list'])).out).toBe('a\nb\n');
      expect((await run(['get', 'b'])).out).toBe('two');
      await run(['backup', '--to', join(folder, 'backup')]);
      await expect(run(['put', 'c'], 'three')).rejects.toMatchObject({ code: 'STORE_LOCKED' });
      await names.put('c', utf8('three'));
    } finally {
      await store.close();
    }
    expect((await run(['list'])).out).toBe('a\nb\nc\n');
  });

  it('V10 a wrong password is refused; a final newline does not matter; the store is unchanged', async () => {
    await run(['create']);
    await run(['put', 'a'], 'one');
    writeFileSync(passwordFile, 'correct horse');
    expect((await run(['get', 'a'])).out).toBe('one');
    writeFileSync(passwordFile, 'wrong horse');
    for (const command of [['get', 'a'], ['list'], ['check'], ['compact'], ['put', 'b']])
      await expect(run(command)).rejects.toMatchObject({ code: 'STORE_PASSWORD_WRONG' });
  });

  it('stat, check and compact work', async () => {
    await run(['create']);
    for (let turn = 0; turn < 3; turn++) await run(['put', 'a'], `turn ${turn}`);
    expect(JSON.parse((await run(['stat', '--json'])).out)).toMatchObject({ records: 1, namespaces: 1 });
    const checked = await run(['check', '--json']);
    expect(JSON.parse(checked.out)).toMatchObject({ isSound: true, records: 1 });
    expect(checked.code).toBe(0);
    await run(['compact']);
    expect((await run(['get', 'a'])).out).toBe('turn 2');
  });

  it('check reports damage and changes nothing; repair asks before it discards records', async () => {
    await run(['create']);
    for (const name of ['a', 'b', 'c']) await run(['put', name], `value of ${name}`);
    const [segment = ''] = readdirSync(path).filter((name) => name.startsWith('segment-'));
    const file = join(path, segment);
    const bytes = new Uint8Array(readFileSync(file));
    const damaged = bytes.with(bytes.length - 60, (bytes.at(-60) ?? 0) ^ 1);
    writeFileSync(file, damaged);
    await expect(run(['get', 'a'])).rejects.toMatchObject({ code: 'STORE_SEGMENT_DAMAGED' });
    const checked = await run(['check', '--json']);
    expect(checked.code).toBe(1);
    expect(JSON.parse(checked.out)).toMatchObject({
      isSound: false,
      problems: [{ code: 'STORE_SEGMENT_DAMAGED' }],
    });
    for (const options of [[], ['--yes'], ['--lossy']])
      await expect(run(['repair', ...options])).rejects.toMatchObject({ code: 'STORE_CONFIRMATION_NEEDED' });
    expect(new Uint8Array(readFileSync(file))).toEqual(damaged);
    const repaired = await run(['repair', '--lossy', '--yes']);
    expect(repaired.out).toMatch(/would be lost/);
    expect((await run(['list'])).out).toBe('a\nb\n');
    expect((await run(['check'])).code).toBe(0);
  });

  it.each([
    ['no store', () => undefined, 'STORE_NOT_FOUND'],
    ['a file', () => writeFileSync(path, 'x'), 'STORE_PLACE_NOT_A_FOLDER'],
  ])('%s at the path is reported', async (_name, prepare, code) => {
    prepare();
    await expect(run(['list'])).rejects.toMatchObject({ code });
  });

  it('a missing or empty password file, and a missing value file, are reported', async () => {
    await run(['create']);
    await expect(run(['put', 'a', '--value-file', join(folder, 'none')])).rejects.toMatchObject({
      code: 'STORE_FILE_UNREADABLE',
    });
    writeFileSync(passwordFile, '\n');
    await expect(run(['list'])).rejects.toMatchObject({ code: 'STORE_PASSWORD_INVALID' });
    rmSync(passwordFile);
    await expect(run(['list'])).rejects.toMatchObject({ code: 'STORE_FILE_UNREADABLE' });
  });
});
