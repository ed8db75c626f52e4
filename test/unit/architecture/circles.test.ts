import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { circlesAmong, filesBelow, importsOf } from './import-circles.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const src = join(root, 'src');

/** Rooms that still have circles. The list may only become shorter: a room without a circle must leave it. */
const roomsWithCircles: readonly string[] = [];

it('no file of src imports itself through others, types included', () => {
  const circles = circlesAmong(filesBelow(src)).map((circle) => circle.map((file) => relative(src, file)));
  const roomsOf = (circle: readonly string[]) => [...new Set(circle.map((file) => file.split('/')[0] ?? ''))];
  expect(
    circles.filter((circle) => roomsOf(circle).some((room) => !roomsWithCircles.includes(room))),
  ).toEqual([]);
  expect([...new Set(circles.flatMap(roomsOf))].sort()).toEqual(roomsWithCircles);
});

it('finds a circle of types, a circle of three files and a circle through an export', () => {
  const folder = mkdtempSync(join(tmpdir(), 'circles-'));
  const files = {
    'a.ts': "import type { B } from './b.ts';",
    'b.ts': "import {\n  type A,\n} from './a.ts';",
    'c.ts': "import './d.ts';",
    'd.ts': "export { e } from './e.ts';",
    'e.ts': "export const later = () => import('./c.ts');",
    'f.ts': "import './a.ts';\nimport './c.ts';\n// import './f.ts'",
  };
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const circles = circlesAmong(filesBelow(folder)).map((circle) =>
      circle.map((file) => relative(folder, file)),
    );
    expect(circles).toEqual([
      ['a.ts', 'b.ts'],
      ['c.ts', 'd.ts', 'e.ts'],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('sees every import of the tree, and each leads to a file', () => {
  const files = new Set(filesBelow(src));
  const missing = [...files].flatMap((file) =>
    importsOf(readFileSync(file, 'utf8'))
      .filter((text) => text.startsWith('.') && !text.endsWith('.json'))
      .map((text) => resolve(dirname(file), text))
      .filter((target) => !files.has(target)),
  );
  expect(missing).toEqual([]);
});
