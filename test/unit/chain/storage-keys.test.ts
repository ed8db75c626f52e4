import { describe, expect, it } from 'vitest';
import { keyOfMapKey, mapKey, storageItems } from '../../../src/chain/storage-keys.ts';
import { accountOf } from '../../support/chain-fixtures.ts';

const item = storageItems.thresholdServers;

describe('storage keys', () => {
  it('a map key is prefix, BLAKE2b-128 and the key itself, and reads back', () => {
    const key = mapKey(item, accountOf(5));
    expect(key).toHaveLength(2 + 2 * (32 + 16 + 32));
    expect(key.startsWith(item.prefix)).toBe(true);
    expect(keyOfMapKey(item, key, 32)).toEqual(accountOf(5));
  });

  it.each([
    ['another item', mapKey(storageItems.acceptedMeasurementValues, accountOf(5))],
    ['a cut key', mapKey(item, accountOf(5)).slice(0, -2)],
    ['a longer key', `${mapKey(item, accountOf(5))}00`],
    ['a hash of another key', mapKey(item, accountOf(5)).replace(/05$/, '06')],
    ['the bare prefix', item.prefix],
    ['no hex', `${item.prefix}zz`],
  ])('refuses %s', (_name, key) => {
    expect(keyOfMapKey(item, key, 32)).toBeUndefined();
  });
});
