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
});
