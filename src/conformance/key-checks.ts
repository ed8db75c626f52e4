import { equalBytes } from '../bytes/concat.ts';
import { bootContent, NO_CONTENT, reserveContent } from '../protocol/mac-message.ts';
import { requireRule } from './check.ts';
import { exchange, forget, statusContent } from './mac-exchange.ts';
import {
  createSlot,
  LATER_MS,
  linkedSlot,
  randomSecret,
  requireProblem,
  type ServerCheck,
} from './server-steps.ts';

/** Checks of what a server does with keys. */
export const keyChecks: readonly ServerCheck[] = [
  {
    name: 'plain-key',
    run: async (subject) => {
      const first = await subject.obtain();
      const second = await subject.obtain();
      requireRule(first.created && !second.created, 'created must be true for the first request alone');
      requireRule(
        first.key.equals(second.key) && equalBytes(first.keyId, second.keyId),
        'get-or-create gives another key the second time',
      );
      requireRule(first.recoveryToken === undefined, 'a plain key has no recovery token');
    },
  },
  {
    name: 'replay',
    run: async (subject) => {
      const request = await subject.prepare();
      const [first, second] = [await subject.submit(request), await subject.submit(request)];
      subject.open(request, first);
      requireRule(first.text === second.text, 'the same request must get the same answer, byte for byte');
    },
  },
  {
    name: 'keys-differ',
    run: async (subject) => {
      const [first, second] = [await createSlot(subject), await createSlot(subject)];
      requireRule(!first.key.equals(second.key), 'two slots have the same key');
    },
  },
  {
    name: 'create-without-slot',
    run: async (subject) =>
      requireProblem(
        await subject.submit(await subject.prepare({ intent: 'create' })),
        400,
        ['FIELD_INVALID'],
        'create without a slot id',
      ),
  },
  {
    name: 'create-again',
    run: async (subject) => {
      const { slotId, token, key } = await createSlot(subject);
      const again = await subject.submit(await subject.prepare({ intent: 'create', slotId }));
      requireProblem(again, 409, ['KEY_EXISTS'], 'create of a slot that is there, without proof');
      const proved = await subject.obtain({ intent: 'create', slotId, token });
      requireRule(proved.key.equals(key) && !proved.created, 'create with the proof must give the same key');
    },
  },
  {
    name: 'recover-unknown',
    run: async (subject) => {
      const request = await subject.prepare({
        intent: 'recover',
        slotId: subject.newSlotId(),
        token: randomSecret(subject),
      });
      requireProblem(await subject.submit(request), 404, ['KEY_UNKNOWN'], 'recover of an unknown slot');
    },
  },
  {
    name: 'recover-unlinked',
    run: async (subject) => {
      const { slotId, token } = await createSlot(subject);
      requireProblem(
        await subject.submit(await subject.prepare({ intent: 'recover', slotId, token })),
        409,
        ['SLOT_UNLINKED'],
        'recover of a slot without lineage',
      );
    },
  },
  {
    name: 'recover',
    run: async (subject) => {
      const { slot } = await linkedSlot(subject);
      const { slotId, token, key } = slot;
      const back = await subject.obtain({ intent: 'recover', slotId, token });
      requireRule(back.key.equals(key) && !back.created, 'recover must give the key that was created');
      requireRule(back.lineage !== undefined, 'recover of a linked slot must show its lineage');
    },
  },
  {
    name: 'recover-proof',
    run: async (subject) => {
      const { slotId } = (await linkedSlot(subject)).slot;
      const without = await subject.submit(await subject.prepare({ intent: 'recover', slotId }));
      requireProblem(without, 401, ['RECOVERY_PROOF_REQUIRED'], 'recover without proof');
      const wrong = await subject.submit(
        await subject.prepare({ intent: 'recover', slotId, token: randomSecret(subject) }),
      );
      requireProblem(wrong, 401, ['RECOVERY_PROOF_WRONG'], 'recover with a wrong proof');
    },
  },
];

/** Checks of the routes with a MAC. */
export const macChecks: readonly ServerCheck[] = [
  {
    name: 'key-status',
    run: async (subject) => {
      const { state, slot, incarnation } = await linkedSlot(subject);
      requireRule(
        state.lineage?.shown.number === incarnation.number,
        'key-status must show the incarnation that it was given',
      );
      requireRule(
        state.lineage.slots.some((id) => equalBytes(id, slot.slotId)),
        'key-status must list the slot that it linked',
      );
    },
  },
  {
    name: 'confirm-unlinked',
    run: async (subject) => {
      const slot = await createSlot(subject);
      const { body } = subject.macBody('key-status', slot, statusContent(subject, slot, { confirm: true }));
      requireProblem(
        await subject.send('POST', '/key-status', body),
        409,
        ['SLOT_UNLINKED'],
        'confirm of a slot without lineage',
      );
    },
  },
  {
    name: 'mac-wrong',
    run: async (subject) => {
      const slot = await createSlot(subject);
      const content = statusContent(subject, slot, { confirm: false });
      const { body } = subject.macBody('key-status', { ...slot, key: randomSecret(subject) }, content);
      requireProblem(await subject.send('POST', '/key-status', body), 404, ['KEY_UNKNOWN'], 'a wrong MAC');
    },
  },
  {
    name: 'timestamp-stale',
    run: async (subject) => {
      const slot = await createSlot(subject);
      const content = statusContent(subject, slot, { confirm: false });
      const { body } = subject.macBody('key-status', slot, content, subject.options.nowMs() - LATER_MS);
      requireProblem(
        await subject.send('POST', '/key-status', body),
        401,
        ['TIMESTAMP_STALE'],
        'an old timestamp',
      );
    },
  },
  {
    name: 'reserve-and-claim',
    run: async (subject) => {
      const { slot, lineage } = await linkedSlot(subject);
      const [mine, other] = [subject.options.random(8), subject.options.random(8)];
      const reserved = await exchange(subject, 'reserve', slot, reserveContent(lineage.reservation(2, mine)));
      requireRule(reserved.lineage?.reserved.number === 2, 'reserve must show the reservation');
      const taken = await exchange(subject, 'reserve', slot, reserveContent(lineage.reservation(2, other)));
      requireRule(
        equalBytes(taken.lineage?.reserved.boot.subarray(0, 8) ?? other, mine),
        'a reserved number must not go to another boot',
      );
      const claimed = await exchange(subject, 'claim', slot, bootContent(lineage.incarnation(2, mine)));
      requireRule(claimed.lineage?.shown.number === 2, 'claim must show the boot');
    },
  },
  {
    name: 'claim-older',
    run: async (subject) => {
      const { slot, lineage } = await linkedSlot(subject);
      await exchange(subject, 'claim', slot, bootContent(lineage.incarnation(5, subject.options.random(8))));
      const state = await exchange(
        subject,
        'claim',
        slot,
        bootContent(lineage.incarnation(4, subject.options.random(8))),
      );
      requireRule(state.lineage?.shown.number === 5, 'an older boot must not replace a newer one');
    },
  },
  {
    name: 'forget-older',
    run: async (subject) => {
      const { slot, lineage, incarnation } = await linkedSlot(subject);
      await exchange(subject, 'claim', slot, bootContent(lineage.incarnation(5, subject.options.random(8))));
      const { erased } = await forget(subject, slot, incarnation);
      requireRule(!erased, 'a boot that was replaced must not erase the key of the newer one');
    },
  },
  {
    name: 'forget',
    run: async (subject) => {
      const { slot, incarnation, lineageKey } = await linkedSlot(subject);
      const { erased } = await forget(subject, slot, incarnation);
      requireRule(erased, 'forget must erase the key');
      const { slotId, token } = slot;
      const gone = await subject.submit(await subject.prepare({ intent: 'recover', slotId, token }));
      requireProblem(gone, 404, ['KEY_UNKNOWN'], 'recover after forget');
      const state = await exchange(subject, 'lineage-status', { lineageKey }, NO_CONTENT);
      requireRule(state.lineage?.slots.length === 0, 'the record of the lineage must stay, without the slot');
    },
  },
  {
    name: 'lineage-unknown',
    run: async (subject) => {
      const { body } = subject.macBody('lineage-status', { lineageKey: randomSecret(subject) }, NO_CONTENT);
      requireProblem(
        await subject.send('POST', '/lineage-status', body),
        404,
        ['LINEAGE_UNKNOWN'],
        'an unknown lineage',
      );
    },
  },
];
