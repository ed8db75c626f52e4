import { ProblemError } from '../../errors/latchkey-error.ts';
import type { OpenNode } from '../node/open-node.ts';
import type { BootStage } from './boot-stage.ts';
import { createNode } from './create-node.ts';
import { reopenNode } from './reopen-node.ts';

/**
 * One attempt to get an open node: makes one where there is none, and opens the one that is there.
 * @returns `undefined` when it was stopped.
 * @throws ProblemError NODE_NEVER_BACKED, and what both throw.
 */
export async function attemptOpening(stage: BootStage): Promise<OpenNode | undefined> {
  switch (await stage.folder.look()) {
    case 'fresh':
      return await createNode(stage);
    case 'enrolled':
      return await reopenNode(stage);
    case 'without-keyslots':
      throw new ProblemError('NODE_NEVER_BACKED', 'there is a store, but no keyslot file beside it', {
        hint: 'put the keyslot file back; or, if the node was never backed, `latchkey abandon` sets the store aside',
      });
  }
}
