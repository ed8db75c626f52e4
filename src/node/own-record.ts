import type { ServerRecord } from '../chain/chain-view.ts';

/** What the newest snapshot of the chain shows of this node's account. */
export type OwnRecord = 'active' | 'inactive' | 'absent';

/** @param record of the own account; `unknown` while the chain is silent, about which the state speaks. */
export function ownRecordOf(record: ServerRecord | undefined | 'unknown'): OwnRecord | undefined {
  if (record === 'unknown') return undefined;
  if (record === undefined) return 'absent';
  return record.active ? 'active' : 'inactive';
}

/** What an operator should know before a restart or a removal, in sentences. */
export function adviceOnRecord(record: OwnRecord | undefined): readonly string[] {
  switch (record) {
    case undefined:
    case 'active':
      return [];
    case 'inactive':
      return [
        'The chain shows this server as inactive: its stash is not in the validator set. Other nodes choose it for no new slots until it is active again. If it is about to leave, drain it before you stop it; if not, look at its stash.',
      ];
    case 'absent':
      return [
        'The chain shows no record of this account: it is not registered yet, or was removed. Other nodes do not use this server, and replace the slots that they had here. If it was removed by mistake, register it again before you restart it.',
      ];
  }
}
