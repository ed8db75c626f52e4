import { expect, it } from 'vitest';
import { drainAnswer, drainToJson } from '../../../../src/agent/drain-routes.ts';
import { drainDesk } from '../../../../src/node/ring/drain-desk.ts';

const drain = {
  start: () => undefined,
  cancel: () => undefined,
  standing: () => ({ progress: { sinceMs: 1, moved: 0 }, remaining: [] }),
};
const report = { standing: 'draining', members: 4, boundary: 9, records: 5, bytes: 50 } as const;

it('a drain says what the ring still needs of the node', () => {
  const shown = (change: object) =>
    drainAnswer.parse(drainToJson(drainDesk(drain, { ...report, ...change }))).ring;
  expect(shown({})).toEqual({ standing: 'draining', records: 5, handedOver: false });
  expect(shown({ handedOver: true })).toMatchObject({ handedOver: true });
  expect(shown({ standing: 'joining' })).toMatchObject({ handedOver: false });
  // Nothing of it is needed: it never was a member, or the chain dropped it.
  expect(shown({ standing: 'no-member' })).toMatchObject({ handedOver: true });
  expect(shown({ problem: 'RING_FULL' })).toMatchObject({ problem: 'RING_FULL' });
  expect(drainToJson(drainDesk(drain, undefined)).ring).toBeUndefined();
});
