import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const markdownIn = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));

const pages = [
  '.',
  'docs',
  'docs/mutations',
  'kit',
  'kit/python',
  'kit/rust',
  'kit/vectors',
  'mock-tdx',
  'packages/tdx',
].flatMap(markdownIn);

/** Every file below these folders, relative to the project. */
const files = [
  'src',
  'test',
  'scripts',
  'docs',
  'devnet',
  'kit',
  'mock-tdx',
  'packages',
  'bench',
  'examples',
].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
);

/** A path of the project in text; not the end of a longer path, such as `dist/src/…`. */
const projectPath =
  /(?<![\w./@-])(?:src|test|scripts|docs|devnet|kit|mock-tdx|packages|bench|examples)\/[\w./*-]*[\w*]/g;
/** Target of a link or an image, without a title. */
const linkTarget = /\]\(([^)\s]+)\)/g;

/** `ROOM` and `*` stand for any name. */
function leadsToFile(path: string): boolean {
  const pattern = path.replaceAll('ROOM', '*');
  if (!pattern.includes('*')) return existsSync(join(root, pattern));
  const parts = pattern.split('*').map((part) => part.replaceAll('.', '\\.'));
  const expression = new RegExp(`^${parts.join('[^/]*')}$`);
  return files.some((file) => expression.test(file));
}

/** Anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map((match) => match[1] ?? '');
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}

const read = (page: string): string => readFileSync(join(root, page), 'utf8');

describe.each(pages)('%s', (page) => {
  const text = read(page);

  it('names only paths of the project that exist', () => {
    const paths = [...text.matchAll(projectPath)].map(([path]) => path);
    expect([...new Set(paths)].filter((path) => !leadsToFile(path))).toEqual([]);
  });

  it('names only source files that exist, also by the end of their path', () => {
    const names = [...text.matchAll(/`([\w./-]+\.(?:ts|mjs))`/g)].map((match) => match[1] ?? '');
    const exists = (name: string): boolean =>
      files.some((file) => file === name || file.endsWith(`/${name.replace(/^\.\//, '')}`));
    expect([...new Set(names)].filter((name) => !exists(name))).toEqual([]);
  });

  it('has only links that lead to a file, and to a heading of it', () => {
    const targets = [...text.matchAll(linkTarget)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/^[a-z]+:/.test(target));
    const isDead = (target: string): boolean => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : relative(root, join(root, dirname(page), path));
      if (!existsSync(join(root, file))) return true;
      return anchor !== undefined && !anchorsOf(read(file)).has(anchor);
    };
    expect(targets.filter(isDead)).toEqual([]);
  });
});

it('the check itself finds paths and dead ones', () => {
  expect('see `src/index.ts`, docs/x.md.'.match(projectPath)).toEqual(['src/index.ts', 'docs/x.md']);
  expect(leadsToFile('src/index.ts')).toBe(true);
  expect(leadsToFile('docs/mutations/ROOM.md')).toBe(true);
  expect(leadsToFile('src/does-not-exist.ts')).toBe(false);
  expect(leadsToFile('src/*/does-not-exist.ts')).toBe(false);
});
