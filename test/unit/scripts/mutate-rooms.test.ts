import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { testsOfRoom } from '../../../scripts/mutate-rooms.ts';

const root = join(import.meta.dirname, '../../..');
const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test', name));

describe('rooms of mutations', () => {
  // A filter that matches nothing would report conditions as surviving, or leave a room half tried.
  it.each(Object.entries(testsOfRoom))(
    '%s: each filter matches a test, and the room exists',
    (room, filters) => {
      expect(existsSync(join(root, 'src', room))).toBe(true);
      expect(filters.filter((filter) => !tests.some((name) => name.includes(filter)))).toEqual([]);
    },
  );
});
