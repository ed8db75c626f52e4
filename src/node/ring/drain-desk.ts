import type { DrainDesk } from '../../agent/drain-routes.ts';
import type { RingReport } from './ring-membership.ts';

/** The drain of a node for its agent, with what the ring still needs of this node. */
export const drainDesk = (
  drain: Pick<DrainDesk, 'start' | 'cancel' | 'standing'>,
  ring: RingReport | undefined,
): DrainDesk => ({
  start: () => drain.start(),
  cancel: () => drain.cancel(),
  standing: () => drain.standing(),
  ...(ring === undefined ? {} : { ring: ringOf(ring) }),
});

const ringOf = ({ standing, records, handedOver = false, problem }: RingReport) => ({
  standing,
  records,
  // A node that is no member has nothing that the others need.
  handedOver: handedOver || standing === 'no-member',
  ...(problem === undefined ? {} : { problem }),
});
