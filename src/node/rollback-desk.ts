import type { RollbackDesk } from '../agent/rollback-routes.ts';
import type { Guardian } from '../boot/life/guardian.ts';
import type { AuditPart } from './audit-part.ts';

/** What an operator sees of an older store, and decides about it, while the node runs. */
export const rollbackDesk = (
  guardian: Pick<Guardian, 'refusedStore' | 'acceptOlderStore'>,
  audit: Pick<AuditPart, 'note'>,
): RollbackDesk => ({
  refused: () => guardian.refusedStore,
  accept: () => {
    const accepted = guardian.acceptOlderStore();
    // Before the store is open there is no log; then the entry of the start says it.
    void audit.note('rollback.accepted', { ...accepted });
    return accepted;
  },
});
