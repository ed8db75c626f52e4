import { expect, it } from 'vitest';
import { nearestName } from '../../../src/errors/nearest-name.ts';

const known = ['PORT', 'ADDRESS', 'MAX_WAITERS', 'METRICS_PORT'];

it.each([
  ['PROT', 'PORT'],
  ['ADRESS', 'ADDRESS'],
  ['MAX_WAITER', 'MAX_WAITERS'],
  ['METRIC_PORT', 'METRICS_PORT'],
  ['PORT', 'PORT'],
])('%s is nearest to %s', (given, name) => {
  expect(nearestName(given, known)).toBe(name);
});

it.each(['', 'X', 'COMPLETELY_DIFFERENT', 'ZZZZ'])('%s is near none of them', (given) => {
  expect(nearestName(given, known)).toBeUndefined();
});

it('no name is near when the list is empty', () => expect(nearestName('PORT', [])).toBeUndefined());
