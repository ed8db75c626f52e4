import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const room = fileURLToPath(new URL('../../../src/chain/', import.meta.url));

/** Time that does not come from the clock which a caller gives. */
const OWN_TIME = /\b(setTimeout|setInterval|Date\.now|performance\.now|new Date)\(|AbortSignal\.timeout\(/;

it('the chain room has no time but that of the clock it is given, so that simulated time drives it', () => {
  // The decoder is a process of its own, with bounds by real time.
  const files = readdirSync(room, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.startsWith('decoder/'),
  );
  expect(files.length).toBeGreaterThan(30);
  expect(files.filter((name) => OWN_TIME.test(readFileSync(room + name, 'utf8')))).toEqual([]);
});

it('the check itself finds a timer and a reading of the time', () => {
  const texts = [
    'setTimeout(end, 5);',
    'const now = Date.now();',
    'AbortSignal.timeout(5)',
    'new Date().getTime()',
  ];
  expect(texts.filter((text) => OWN_TIME.test(text))).toEqual(texts);
  expect(OWN_TIME.test('await clock.sleep(5); clock.nowMs();')).toBe(false);
});
