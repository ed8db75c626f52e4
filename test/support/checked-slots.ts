import type { CheckedSlot } from '../../src/boot/heal/slot-check.ts';
import type { SlotReport } from '../../src/boot/node/node-state.ts';
import { AccountId, InstanceId, KeyId, SlotId } from '../../src/bytes/fixed-bytes.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import type { Slot } from '../../src/keyslots/keyslot-file.ts';

/** The account of a server of this number. */
export const serverAt = (number: number): AccountId => AccountId.of(new Uint8Array(32).fill(number));
/** The slot id of this number. */
export const slotIdAt = (number: number): SlotId => SlotId.of(new Uint8Array(16).fill(number));
/** A process of a server, by a number. */
export const processAt = (number: number): InstanceId => InstanceId.of(new Uint8Array(16).fill(number));

/** A slot of the server of the same number, issued by process 100 of it. */
export const slotAt = (number: number, server = number): Slot => ({
  index: 0,
  server: serverAt(server),
  slotId: slotIdAt(number),
  keyId: KeyId.of(new Uint8Array(16)),
  recoveryToken: new SecretBytes(new Uint8Array(32)),
  instanceId: processAt(100),
  confirmed: true,
  sealed: new Uint8Array(0),
});

/** What the check of a slot brought; a text stands for a kind of failure. */
export function checkedAt(
  number: number,
  standing: 'live' | 'draining' | 'asked' | 'forgot' | 'departed' | 'lied' | 'unreachable',
  server = number,
): CheckedSlot {
  const isFailure = standing !== 'live' && standing !== 'draining' && standing !== 'asked';
  const shown: SlotReport['standing'] = isFailure ? { kind: standing, detail: 'x' } : standing;
  const slot = slotAt(number, server);
  return {
    slot,
    report: { server: slot.server, endpoint: undefined, standing: shown },
    instanceId: standing === 'live' || standing === 'draining' ? slot.instanceId : undefined,
    shown: [],
  };
}
