import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/bytes/concat.ts';
import { printableName } from '../../../src/cli/shared/terminal-text.ts';
import { importRecords } from '../../../src/cli/store/import.ts';
import {
  formatRecordLine,
  parseRecordLine,
  type RecordLine,
  splitLines,
} from '../../../src/cli/store/lines.ts';

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield utf8(text);
}

async function linesOf(source: AsyncIterable<Uint8Array>, most = 100): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of splitLines(source, most)) lines.push(Buffer.from(line).toString());
  return lines;
}

describe('lines', () => {
  it('are split over chunks; the last line needs no newline', async () => {
    expect(await linesOf(chunks('a', 'b\nc\n\nd', 'e\n', 'f'))).toEqual(['ab', 'c', '', 'de', 'f']);
    expect(await linesOf(chunks('a\n'))).toEqual(['a']);
    expect(await linesOf(chunks())).toEqual([]);
  });

  it('an endless line does not fill the memory', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) yield new Uint8Array(64).fill(0x61);
    }
    await expect(linesOf(endless())).rejects.toMatchObject({ code: 'FIELD_INVALID', field: 'line 1' });
  });

  it('an exported record is imported unchanged', () => {
    for (const record of [
      { name: 'a', value: utf8('one') },
      { name: 'new\nline "quoted" ключ 🔑', value: new Uint8Array(0) },
      { namespace: 'other', name: 'b', value: Uint8Array.of(0, 255) },
    ])
      expect(parseRecordLine(utf8(formatRecordLine(record).trimEnd()), 1)).toEqual(record);
  });

  it('an empty line is skipped', () => {
    expect(parseRecordLine(utf8(' \r'), 1)).toBeUndefined();
  });

  it.each([
    ['no JSON', '{"name"'],
    ['an array', '["a","Yg=="]'],
    ['null', 'null'],
    ['no name', '{"value":"Yg=="}'],
    ['a name that is a number', '{"name":1,"value":"Yg=="}'],
    ['no value', '{"name":"a"}'],
    ['base64 without padding', '{"name":"a","value":"Yg"}'],
    ['base64 of the other alphabet', '{"name":"a","value":"-_8="}'],
    ['base64 with trailing bits', '{"name":"a","value":"Yh=="}'],
    ['a field that is not known', '{"name":"a","value":"Yg==","valeu":""}'],
    ['a namespace that is a number', '{"name":"a","value":"Yg==","namespace":2}'],
    ['an erasable that is text', '{"name":"a","value":"Yg==","erasable":"true"}'],
  ])('%s is refused with the number of its line, and never quoted', (_name, text) => {
    const parse = (): unknown => parseRecordLine(utf8(text), 7);
    expect(parse).toThrowError(expect.objectContaining({ code: 'FIELD_INVALID' }));
    expect(parse).toThrowError(/line 7/);
    expect(parse).not.toThrowError(/Yg/);
  });

  it('bytes that are not UTF-8 are refused', () => {
    expect(() => parseRecordLine(Uint8Array.of(0x7b, 0xff, 0x7d), 1)).toThrowError(
      expect.objectContaining({ code: 'FIELD_INVALID' }),
    );
  });
});

describe('import', () => {
  const record = (index: number, bytes = 1): RecordLine => ({
    name: `n${index}`,
    value: new Uint8Array(bytes),
  });

  async function* records(count: number, bytes?: number): AsyncGenerator<RecordLine> {
    for (let index = 0; index < count; index++) yield record(index, bytes);
  }

  it('writes many records concurrently, and acknowledges each only after it is stored', async () => {
    const release: (() => void)[] = [];
    const acknowledged: string[] = [];
    const importing = importRecords(records(100), {
      store: () => new Promise((resolve) => release.push(resolve)),
      acknowledge: async ({ name }) => void acknowledged.push(name),
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(release.length).toBe(100);
    expect(acknowledged).toEqual([]);
    release[3]?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(acknowledged).toEqual(['n3']);
    for (const each of release) each();
    expect(await importing).toBe(100);
    expect(acknowledged.length).toBe(100);
  });

  it('pauses reading while too many bytes are being written', async () => {
    let read = 0;
    const release: (() => void)[] = [];
    async function* large(): AsyncGenerator<RecordLine> {
      for (; read < 100; read++) yield record(read, 4 * 1024 * 1024);
    }
    const importing = importRecords(large(), {
      store: () => new Promise((resolve) => release.push(resolve)),
      acknowledge: async () => undefined,
    });
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(read).toBeLessThan(10);
    const pump = setInterval(() => release.splice(0).forEach((each) => void each()), 1);
    expect(await importing).toBe(100);
    clearInterval(pump);
  });

  it('a failure stops the reading, and records that are being written are still acknowledged', async () => {
    const acknowledged: string[] = [];
    let read = 0;
    async function* source(): AsyncGenerator<RecordLine> {
      for (; read < 1000; read++) {
        yield record(read);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await expect(
      importRecords(source(), {
        store: async ({ name }) => {
          if (name === 'n5') throw new Error('full');
        },
        acknowledge: async ({ name }) => void acknowledged.push(name),
      }),
    ).rejects.toThrow('full');
    expect(read).toBeLessThan(20);
    expect(acknowledged).toContain('n4');
    expect(acknowledged).not.toContain('n5');
  });

  it('a bad line stops the import after the good ones before it', async () => {
    const acknowledged: string[] = [];
    async function* source(): AsyncGenerator<RecordLine> {
      yield record(0);
      throw new Error('line 2');
    }
    await expect(
      importRecords(source(), {
        store: async () => undefined,
        acknowledge: async ({ name }) => void acknowledged.push(name),
      }),
    ).rejects.toThrow('line 2');
    expect(acknowledged).toEqual(['n0']);
  });
});

describe('names on a terminal', () => {
  it('cannot move the cursor, forge a line, or reverse the text', () => {
    expect(printableName('plain name, ключ 🔑')).toBe('plain name, ключ 🔑');
    for (const nasty of ['a\nb', '\u001b[2J', 'x\u202egnp', '\u0085', '\u2028'])
      expect(printableName(nasty)).toMatch(/^"[\x20-\x7e]*"$/);
  });
});
