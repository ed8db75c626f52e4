import { describe, expect, it } from 'vitest';
import { EpochJournal } from '../../../src/epochs/epoch-journal.ts';
import { journalAt, secretOf, stateOf } from '../../support/dkg-members.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const shareOf = (text: string) => ({ index: 2, scalar: secretOf(text) });

describe('a node that entered an epoch as an observer and commits the same state with a share', () => {
  it('is told that the share was written, and keeps it', async () => {
    const store = new MemoryStore();
    const journal = await journalAt(3, 'seed', store);
    expect(await journal.commitEpoch(3, stateOf('seed', { share: shareOf('late') }))).toBe(true);
    const again = await EpochJournal.open(store);
    expect((await again.secrets.getShare(3))?.scalar.equals(secretOf('late'))).toBe(true);
    const { writes } = store;
    expect(await again.commitEpoch(3, stateOf('seed', { share: shareOf('late') }))).toBe(false);
    expect(store.writes).toBe(writes);
  });

  it('is refused with another share than the one that is kept', async () => {
    const journal = await journalAt(3, 'seed');
    await journal.commitEpoch(3, stateOf('seed', { share: shareOf('first') }));
    const other = journal.commitEpoch(3, stateOf('seed', { share: shareOf('second') }));
    await expect(other).rejects.toMatchObject({ code: 'EPOCH_SECRET_CONFLICT' });
    expect((await journal.secrets.getShare(3))?.scalar.equals(secretOf('first'))).toBe(true);
  });

  it('is not heard for an epoch before the current one', async () => {
    const store = new MemoryStore();
    const journal = await journalAt(3, 'seed', store);
    await journal.commitEpoch(4, stateOf('next'));
    const { writes } = store;
    expect(await journal.commitEpoch(3, stateOf('seed', { share: shareOf('late') }))).toBe(false);
    expect(store.writes).toBe(writes);
  });
});
