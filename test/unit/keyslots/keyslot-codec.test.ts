import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { addGeneration } from '../../../src/keyslots/generations.ts';
import {
  decodeKeyslotFile,
  encodeKeyslotFile,
  MAX_KEYSLOT_FILE_BYTES,
} from '../../../src/keyslots/keyslot-codec.ts';
import { enrol, fileOf } from '../../support/keyslot-fixtures.ts';
import { thrownBy } from '../../support/thrown.ts';

const first = await enrol({ t: 2, n: 3 });
const second = await enrol({ t: 3, n: 5 }, { storeKey: first.storeKey, generation: 2 });
const { file } = addGeneration(fileOf(first), second.generation);
const bytes = encodeKeyslotFile(file);
const text = new TextDecoder().decode(bytes);

/** A copy of the JSON, for a test to damage; `any` shape on purpose, so by keys. */
type Json = { [key: string]: Json } & Json[];
const damaged = (damage: (json: Json) => void): Uint8Array => {
  // Test input: deliberately not of the file's type.
  const json = JSON.parse(text) as Json;
  damage(json);
  return utf8(JSON.stringify(json));
};
const set = (path: string, value: unknown) => (json: Json) => {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const target = keys.reduce<Record<string, unknown>>(
    (node, key) => node[key] as Record<string, unknown>,
    json as Record<string, unknown>,
  );
  if (value === undefined) delete target[last];
  else target[last] = value;
};
const malformed = expect.objectContaining({ code: 'KEYSLOT_FILE_MALFORMED', family: 'evidence' });

describe('keyslot file', () => {
  it('is decoded unchanged, including secrets', () => {
    const read = decodeKeyslotFile(bytes);
    expect(encodeKeyslotFile(read)).toEqual(bytes);
    expect(read.generations.map(({ generation }) => generation)).toEqual([2, 1]);
    const [slot] = read.generations[0].slots;
    expect(slot?.recoveryToken.equals(second.servers[0]?.recoveryToken ?? second.storeKey)).toBe(true);
  });

  it('holds neither store key nor server keys', () => {
    for (const secret of [first.storeKey, ...[...first.servers, ...second.servers].map(({ key }) => key)]) {
      expect(text).not.toContain(Buffer.from(secret.reveal()).toString('hex'));
    }
  });

  it('contains no token when it is logged', () => {
    const shown = JSON.stringify(decodeKeyslotFile(bytes));
    const token = Buffer.from(first.servers[0]?.recoveryToken.reveal() ?? []);
    expect(shown).not.toContain(token.toString('hex'));
    expect(shown).toContain('[secret]');
  });

  it.each<[string, string, unknown]>([
    ['unknown field', 'extra', 1],
    ['unknown field in a slot', 'generations.0.slots.0.extra', 1],
    ['missing field', 'storeId', undefined],
    ['other format', 'format', 'other'],
    ['later version', 'version', 2],
    ['account of another network', 'account', '15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5'],
    ['account in hex', 'account', `0x${'aa'.repeat(32)}`],
    ['short store id', 'storeId', '0x00'],
    ['no generation', 'generations', []],
    ['generation 0', 'generations.1.generation', 0],
    ['fractional generation', 'generations.0.generation', 2.5],
    ['generations in the wrong order', 'generations.1.generation', 3],
    ['same generation twice', 'generations.1.generation', 2],
    ['t = 0', 'generations.0.t', 0],
    ['t above n', 'generations.1.t', 4],
    ['n above 16', 'generations.0.n', 17],
    ['n below the slots', 'generations.0.n', 4],
    ['t above the slots', 'generations.0.slots', []],
    ['index as text', 'generations.0.slots.0.index', '0'],
    ['indexes not ascending', 'generations.0.slots.1.index', 0],
    ['index beyond n', 'generations.0.slots.4.index', 5],
    ['negative index', 'generations.0.slots.0.index', -1],
    ['confirmed as a number', 'generations.0.slots.0.confirmed', 1],
    ['short MAC', 'generations.0.mac', '0x00'],
    ['upper-case hex', 'generations.0.mac', `0x${'AB'.repeat(32)}`],
    ['token of 31 bytes', 'generations.0.slots.0.recoveryToken', `0x${'00'.repeat(31)}`],
    ['sealed of t = 1 in t = 3', 'generations.0.slots.0.sealed', `0x${'00'.repeat(72)}`],
    ['very long text', 'generations.0.slots.0.sealed', `0x${'00'.repeat(1000)}`],
    ['null slot', 'generations.0.slots.0', null],
    ['slots as an object', 'generations.0.slots', {}],
  ])('refuses %s', (_name, path, value) => {
    expect(() => decodeKeyslotFile(damaged(set(path, value)))).toThrow(malformed);
  });

  it.each([
    ['version', 2],
    ['generations.1.t', 4],
    ['generations.1.mac', '0x00'],
  ])('names the place %s', (field, value) => {
    expect(() => decodeKeyslotFile(damaged(set(field, value)))).toThrow(expect.objectContaining({ field }));
  });

  it('names the file when it is no object, and its length when it is too long', () => {
    const spaces = (length: number) => new Uint8Array(length).fill(0x20);
    const named = (field: string) => expect.objectContaining({ field });
    expect(() => decodeKeyslotFile(utf8('1'))).toThrow(named('file'));
    expect(() => decodeKeyslotFile(spaces(MAX_KEYSLOT_FILE_BYTES))).toThrow(named('file'));
    expect(() => decodeKeyslotFile(spaces(MAX_KEYSLOT_FILE_BYTES + 1))).toThrow(named('length'));
  });

  it('refuses fewer slots than the threshold', () => {
    const cut = damaged((json) => {
      const [newer] = json['generations'] ?? [];
      newer?.['slots']?.splice(2);
    });
    expect(() => decodeKeyslotFile(cut)).toThrow(
      expect.objectContaining({ field: 'generations.0.slots', observed: '2' }),
    );
  });

  it('reports the order of the generations as it was found', () => {
    const found = thrownBy(() => decodeKeyslotFile(damaged(set('generations.1.generation', 3))));
    expect(found).toMatchObject({ field: 'generations', observed: '2, 3' });
    expect(found).not.toHaveProperty('cause');
  });

  it('refuses the same server, or the same slot id, twice', () => {
    const copy = (field: string, from: string, to: string) =>
      damaged((json) => {
        // Test input by path; the shapes were written by the encoder above.
        const slots = (generation: number) => json['generations']?.[generation]?.['slots'] as Json;
        const [toGeneration = 0, toSlot = 0] = to.split('.').map(Number);
        const [fromGeneration = 0, fromSlot = 0] = from.split('.').map(Number);
        Object.assign(slots(toGeneration)[toSlot] ?? {}, {
          [field]: slots(fromGeneration)[fromSlot]?.[field],
        });
      });
    expect(() => decodeKeyslotFile(copy('server', '0.0', '0.1'))).toThrow(malformed);
    expect(() => decodeKeyslotFile(copy('slotId', '0.0', '0.1'))).toThrow(malformed);
    expect(() => decodeKeyslotFile(copy('slotId', '0.0', '1.1'))).toThrow(malformed);
  });

  it.each([
    ['a space', text.replace(':', ': ')],
    ['a line end', `${text}\n`],
    ['a byte order mark', `\ufeff${text}`],
    ['a key twice', text.replace('{"account"', '{"version":1,"account"')],
    ['a prototype', text.replace('{"account"', '{"__proto__":{"version":1},"account"')],
    ['an escaped letter', text.replace('latchkey', '\\u006catchkey')],
    ['another order of keys', JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(text)).reverse()))],
    ['a number as 1.0', text.replace('"version":1', '"version":1.0')],
  ])('refuses another encoding of the same content: %s', (_name, spelled) => {
    expect(spelled).not.toBe(text);
    expect(() => decodeKeyslotFile(utf8(spelled))).toThrow(malformed);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['zeros', new Uint8Array(4096)],
    ['not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['deep nesting', utf8('['.repeat(60_000))],
    ['too much', new Uint8Array(MAX_KEYSLOT_FILE_BYTES + 1).fill(0x20)],
    ['a number', utf8('1')],
    ['null', utf8('null')],
  ])('refuses %s', (_name, input) => {
    expect(() => decodeKeyslotFile(input)).toThrow(malformed);
  });

  it('refuses a file that is cut at any byte', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeKeyslotFile(bytes.subarray(0, length))).toThrow(malformed);
    }
  });

  it('can be read at the largest size that can be written', async () => {
    const big = await enrol({ t: 16, n: 16 });
    const bigger = await enrol({ t: 16, n: 16 }, { generation: Number.MAX_SAFE_INTEGER });
    const encoded = encodeKeyslotFile(addGeneration(fileOf(big), bigger.generation).file);
    expect(encoded.length).toBeLessThan(MAX_KEYSLOT_FILE_BYTES / 2);
    expect(decodeKeyslotFile(encoded).generations).toHaveLength(2);
  });
});
