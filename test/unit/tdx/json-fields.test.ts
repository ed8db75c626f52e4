import { describe, expect, it } from 'vitest';
import { JsonFields } from '../../../src/tdx/json-fields.ts';
import { thrownBy } from '../../support/thrown.ts';

const CODE = 'TCB_INFO_INVALID';
const top = () => new JsonFields({}, 'tcbInfo', CODE);

describe('the fields of a signed JSON document', () => {
  it.each([[null], [undefined], [[]], [[{}]], [7], ['{}'], [true]])(
    'are of an object: %j is refused',
    (value) => {
      const error = thrownBy(() => new JsonFields(value, 'tcbInfo', CODE));
      expect(error).toMatchObject({ code: CODE, field: 'tcbInfo', expected: 'an object' });
    },
  );

  it('are named by their path, with an index only below a list', () => {
    const fieldOf = (fields: JsonFields) => thrownBy(() => fields.string('id'));
    expect(fieldOf(top())).toMatchObject({ field: 'tcbInfo.id' });
    const module = new JsonFields({}, 'tdxModule', CODE, top());
    expect(fieldOf(module)).toMatchObject({ field: 'tcbInfo.tdxModule.id' });
    const level = new JsonFields({}, 'tcbLevels', CODE, top(), 0);
    expect(fieldOf(new JsonFields({}, 'tcb', CODE, level))).toMatchObject({
      field: 'tcbInfo.tcbLevels[0].tcb.id',
    });
  });

  it('are own fields only', () => {
    const inherited = new JsonFields(Object.create({ id: 'TDX' }), 'tcbInfo', CODE);
    expect(thrownBy(() => inherited.string('id'))).toMatchObject({ code: CODE, observed: 'undefined' });
    expect(inherited.has('id')).toBe(false);
  });

  it.each([
    [5, '5'],
    [null, 'something else'],
    [{ id: 'TDX' }, 'something else'],
    [['TDX'], 'something else'],
    [true, 'true'],
  ])('are shown in a refusal unless they are objects: %j', (id, observed) => {
    const fields = new JsonFields({ id }, 'tcbInfo', CODE);
    expect(thrownBy(() => fields.string('id'))).toMatchObject({
      message: `tcbInfo.id must be text, got ${observed}`,
      observed,
    });
  });

  it('of hex have no prefix, and exactly the digits of their bytes', () => {
    const hexOf = (fmspc: unknown) =>
      thrownBy(() => new JsonFields({ fmspc }, 'tcbInfo', CODE).hex('fmspc', 2));
    expect(hexOf('0aFf')).toEqual(Uint8Array.of(10, 255));
    for (const wrong of ['0x0aff', '0x0a', '0a', '0aff00', '', 10, null, ['0aff']])
      expect(hexOf(wrong)).toMatchObject({ code: CODE, expected: '2 bytes of hex' });
  });

  it('of time are texts', () => {
    const time = '2026-01-31T00:00:00Z';
    const timeOf = (issueDate: unknown) =>
      thrownBy(() => new JsonFields({ issueDate }, 'tcbInfo', CODE).dateMs('issueDate'));
    expect(timeOf(time)).toBe(Date.UTC(2026, 0, 31));
    for (const wrong of [[time], 2026, null]) expect(timeOf(wrong)).toMatchObject({ code: CODE });
  });

  it('of a list have at least one entry', () => {
    const listOf = (tcbLevels: unknown) =>
      thrownBy(() =>
        new JsonFields({ tcbLevels }, 'tcbInfo', CODE).objects('tcbLevels', (level) => level.has('tcb')),
      );
    expect(listOf([{ tcb: 1 }, {}])).toEqual([true, false]);
    for (const wrong of [[], {}, undefined, 'tcb'])
      expect(listOf(wrong)).toMatchObject({
        field: 'tcbInfo.tcbLevels',
        expected: 'an array that is not empty',
      });
  });
});
