import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../src/bytes/concat.ts';
import { readFrameHeader } from '../../../src/store/log/frame.ts';
import { SEGMENT_HEADER_BYTES } from '../../../src/store/log/segment.ts';
import { fingerprint } from '../../simulation/store-model.ts';
import { seededDice } from '../../support/disk-dice.ts';
import type { SimulatedDisk } from '../../support/simulated-disk.ts';
import { openTampered, type VictimStore, victim } from './hostile-store.ts';

const filesLike = (disk: SimulatedDisk, part: string): string[] =>
  [...disk.files().keys()].filter((path) => path.includes(part)).sort();

const bytesOf = (disk: SimulatedDisk, path: string | undefined): Uint8Array => {
  const bytes = path === undefined ? undefined : disk.files().get(path);
  if (bytes === undefined) throw new Error(`no file ${path}`);
  return bytes;
};

/** Ends of header and frames of a segment. */
function framesOf(segment: Uint8Array): Uint8Array[] {
  const parts = [segment.slice(0, SEGMENT_HEADER_BYTES)];
  for (let at = SEGMENT_HEADER_BYTES; at < segment.length; ) {
    const length = readFrameHeader(Buffer.from(segment), at)?.length ?? segment.length - at;
    parts.push(segment.slice(at, at + length));
    at += length;
  }
  return parts;
}

/** Applies an attack to a copy of the disk; the store must refuse it and be left as it was. */
async function refusedBecause(store: VictimStore, attack: (disk: SimulatedDisk) => void): Promise<string> {
  const disk = store.simulated.disk.clone();
  attack(disk);
  const outcome = await openTampered(store, disk);
  return outcome.kind === 'refused' ? outcome.code : 'opened';
}

describe('V7 swapped, repeated, reordered and truncated', () => {
  it('V7 swapped segments are refused', async () => {
    const store = await victim('closed');
    const code = await refusedBecause(store, (disk) => {
      const [first, second] = filesLike(disk, 'segment-');
      const [left, right] = [bytesOf(disk, first), bytesOf(disk, second)];
      disk.tamper(first ?? '', right);
      disk.tamper(second ?? '', left);
    });
    expect(code).toBe('STORE_SEGMENT_SWAPPED');
  });

  it('V7 a segment in the place of another is refused', async () => {
    const store = await victim('closed');
    for (const target of filesLike(store.simulated.disk, 'segment-').slice(1)) {
      const code = await refusedBecause(store, (disk) =>
        disk.tamper(target, bytesOf(disk, filesLike(disk, 'segment-')[0])),
      );
      // A shorter one is detected by its length first.
      expect(code).toMatch(/^STORE_SEGMENT_(SWAPPED|TRUNCATED)$/);
    }
  });

  it('V7 missing segments are refused', async () => {
    const store = await victim('closed');
    for (const path of filesLike(store.simulated.disk, 'segment-')) {
      expect(await refusedBecause(store, (disk) => disk.tamper(path, undefined))).toBe(
        'STORE_SEGMENT_MISSING',
      );
    }
  });

  it('V3 a missing manifest is refused', async () => {
    const store = await victim('closed');
    const code = await refusedBecause(store, (disk) =>
      disk.tamper(filesLike(disk, 'MANIFEST')[0] ?? '', undefined),
    );
    expect(code).toBe('STORE_MANIFEST_MISSING');
  });

  it.each(['closed', 'cut'] as const)(
    'V7 swapped, repeated or missing records are refused (%s)',
    async (end) => {
      const store = await victim(end, { segmentBytes: 1 << 20 });
      const [path = ''] = filesLike(store.simulated.disk, 'segment-');
      const [header = new Uint8Array(0), ...frames] = framesOf(bytesOf(store.simulated.disk, path));
      expect(frames.length).toBeGreaterThan(6);
      for (let at = 0; at + 2 < frames.length; at++) {
        const [one, two] = [frames[at], frames[at + 1]] as [Uint8Array, Uint8Array];
        const attacks: Record<string, Uint8Array[]> = {
          swapped: frames.with(at, two).with(at + 1, one),
          repeated: frames.toSpliced(at, 0, one),
          'left out': frames.toSpliced(at, 1),
          overwritten: frames.with(at, two),
        };
        for (const [name, altered] of Object.entries(attacks)) {
          const code = await refusedBecause(store, (disk) =>
            disk.tamper(path, concatBytes(header, ...altered)),
          );
          expect(code, `${name} at ${at}`).toMatch(
            /^STORE_(RECORD_MISPLACED|SEGMENT_DAMAGED|SEGMENT_TRUNCATED)$/,
          );
        }
      }
    },
  );

  it('V7 a segment of a closed store is refused at every shorter length', async () => {
    const store = await victim('closed');
    for (const path of filesLike(store.simulated.disk, 'segment-')) {
      const whole = bytesOf(store.simulated.disk, path);
      for (let length = 0; length < whole.length; length += length < 300 ? 1 : 13) {
        const code = await refusedBecause(store, (disk) => disk.tamper(path, whole.slice(0, length)));
        expect(code, `${path} at ${length}`).toMatch(/^STORE_SEGMENT_/);
      }
    }
  });

  it('E10 any truncation of the last segment after a power cut gives an earlier state of the store', async () => {
    const store = await victim('cut', { segmentBytes: 1 << 20 });
    const allowed = new Set(store.history.map(fingerprint));
    const [path = ''] = filesLike(store.simulated.disk, 'segment-').slice(-1);
    const whole = bytesOf(store.simulated.disk, path);
    let opened = 0;
    for (let length = 0; length < whole.length; length += 7) {
      const disk = store.simulated.disk.clone();
      disk.tamper(path, whole.slice(0, length));
      const outcome = await openTampered(store, disk);
      if (outcome.kind === 'refused') continue;
      opened++;
      expect(allowed.has(fingerprint(outcome.contents)), `at ${length}`).toBe(true);
    }
    expect(opened).toBeGreaterThan(0);
  });

  it('E10 random bytes, zeros and half a frame after the end are a torn tail: removed without loss', async () => {
    const store = await victim('cut');
    const [path = ''] = filesLike(store.simulated.disk, 'segment-').slice(-1);
    const whole = bytesOf(store.simulated.disk, path);
    const [, frame = new Uint8Array(0)] = framesOf(whole);
    const tails = [
      new Uint8Array(1),
      new Uint8Array(5000),
      seededDice(3).bytes(777),
      frame.slice(0, 50),
      utf8('LKf1'),
    ];
    for (const tail of tails) {
      const disk = store.simulated.disk.clone();
      disk.tamper(path, concatBytes(whole, tail));
      const outcome = await openTampered(store, disk);
      if (outcome.kind === 'refused') throw new Error(`refused: ${outcome.code}`);
      expect(fingerprint(outcome.contents)).toBe(fingerprint(store.contents));
    }
  });

  it('E11 damage below the watermark is refused with its position, and never truncated', async () => {
    const store = await victim('cut', { segmentBytes: 1 << 20 });
    const [path = ''] = filesLike(store.simulated.disk, 'segment-');
    const whole = bytesOf(store.simulated.disk, path);
    const frames = framesOf(whole);
    const middle = concatBytes(...frames.slice(0, 4)).length + 90;
    const disk = store.simulated.disk.clone();
    disk.tamper(path, whole.with(middle, (whole[middle] ?? 0) ^ 1));
    await expect(store.simulated.on(disk).reopen()).rejects.toMatchObject({
      code: 'STORE_SEGMENT_DAMAGED',
      field: expect.stringMatching(/segment-\d+, byte \d+/),
    });
  });
});

describe('V7 pasted from another store', () => {
  it('V7 a segment of another store with the same key is refused', async () => {
    const store = await victim('closed');
    const other = await victim('closed', {}, 2);
    const [path = ''] = filesLike(store.simulated.disk, 'segment-');
    const foreign = bytesOf(other.simulated.disk, filesLike(other.simulated.disk, 'segment-')[0]);
    const code = await refusedBecause(store, (disk) => disk.tamper(path, foreign));
    expect(code).toMatch(/^STORE_SEGMENT_(FOREIGN|SWAPPED|DAMAGED)$/);
  });

  it('V7 records of another store inside a segment are refused', async () => {
    const store = await victim('closed', { segmentBytes: 1 << 20 });
    const other = await victim('closed', { segmentBytes: 1 << 20 }, 2);
    const [path = ''] = filesLike(store.simulated.disk, 'segment-');
    const [otherPath = ''] = filesLike(other.simulated.disk, 'segment-');
    const mine = framesOf(bytesOf(store.simulated.disk, path));
    const theirs = framesOf(bytesOf(other.simulated.disk, otherPath));
    const code = await refusedBecause(store, (disk) =>
      disk.tamper(path, concatBytes(...mine.with(3, theirs[3] ?? new Uint8Array(0)))),
    );
    expect(code).toBe('STORE_RECORD_FOREIGN');
  });

  it('V7 the manifest of another store is refused', async () => {
    const store = await victim('closed');
    const other = await victim('closed', {}, 2);
    const [path = ''] = filesLike(store.simulated.disk, 'MANIFEST');
    const foreign = bytesOf(other.simulated.disk, filesLike(other.simulated.disk, 'MANIFEST')[0]);
    expect(await refusedBecause(store, (disk) => disk.tamper(path, foreign))).toMatch(/^STORE_/);
  });
});
