import { EvidenceError } from '../../errors/latchkey-error.ts';
import { writeFailure } from '../files/disk-failure.ts';
import { type NamespaceState, newNamespaceState } from '../index/namespace-state.ts';
import { OrderedIndex } from '../index/ordered-index.ts';
import { newNamespaceKey } from '../keys/namespace-keys.ts';
import { encodeNamespaceKind, noValue, operations } from '../log/record.ts';
import type { StoreState } from '../store-state.ts';

function checkKind(space: NamespaceState, isErasable: boolean): void {
  if ((space.keyPlace !== undefined) === isErasable) return;
  throw new EvidenceError('STORE_NAMESPACE_KIND', `namespace ${space.name} is of the other kind`, {
    field: 'erasable',
    expected: isErasable ? 'an erasable namespace' : 'a plain namespace',
    observed: isErasable ? 'a plain one' : 'an erasable one',
  });
}

/**
 * Finds a namespace, or makes it durably. The wrapped key is on the disk before the record that refers to it; one
 * that a crash leaves without a record is destroyed by the next opening.
 */
export async function openNamespace(
  state: StoreState,
  name: string,
  isErasable: boolean,
): Promise<NamespaceState> {
  const present = state.namespaces.get(name);
  if (present !== undefined) {
    checkKind(present, isErasable);
    return present;
  }
  return state.commit.exclusively(async () => {
    const meanwhile = state.namespaces.get(name);
    if (meanwhile === undefined) return create(state, name, isErasable);
    checkKind(meanwhile, isErasable);
    return meanwhile;
  });
}

async function create(state: StoreState, name: string, isErasable: boolean): Promise<NamespaceState> {
  await finishErasures(state);
  const id = state.namespaces.takeId();
  const key = isErasable ? newNamespaceKey(state.tuning.random) : undefined;
  try {
    const place = key === undefined ? undefined : await state.namespaceKeys.add(id, key.bytes);
    const space = newNamespaceState(id, name, place, key?.cipher);
    const content = {
      operation: operations.createNamespace,
      namespace: id,
      name,
      value: encodeNamespaceKind(place),
    };
    await state.commit.commitNow((group) =>
      group.addForNamespace(space, content, () => state.namespaces.add(space)),
    );
    return space;
  } finally {
    key?.bytes.fill(0);
  }
}

/**
 * Destroys an erasable namespace: first the log says so, then the key goes, both durably before this resolves. A
 * crash between the two is finished by the next opening; what a full disk interrupts, by the next call, by a new
 * namespace, by the sweep or by closing. The sealed bytes go in the background soon after.
 */
export async function eraseNamespace(state: StoreState, name: string): Promise<boolean> {
  const { halfErased } = state.namespaces;
  const present = state.namespaces.get(name);
  if (present === undefined && !halfErased.has(name)) return false;
  if (present !== undefined) checkKind(present, true);
  return state.commit.exclusively(async () => {
    const space = state.namespaces.get(name);
    if (space?.keyPlace !== undefined) await noteErasure(state, space);
    else if (!halfErased.has(name)) return false;
    state.events.onErased();
    await finishErasures(state);
    return true;
  });
}

async function noteErasure(state: StoreState, space: NamespaceState): Promise<void> {
  const content = { operation: operations.eraseNamespace, namespace: space.id, name: '', value: noValue() };
  await state.commit.commitNow((group) =>
    group.addForNamespace(space, content, () => {
      forgetNamespace(state, space);
      state.namespaces.halfErased.set(space.name, space);
    }),
  );
}

/** Destroys the keys of namespaces of which the log already says that they are erased; only while no write is under way. */
export async function finishErasures(state: StoreState): Promise<void> {
  const { halfErased } = state.namespaces;
  for (const [name, { keyPlace }] of [...halfErased]) {
    try {
      if (keyPlace !== undefined) await state.namespaceKeys.destroy(keyPlace);
    } catch (error) {
      throw writeFailure(error, 'the end of the key of an erased namespace');
    }
    halfErased.delete(name);
  }
}

function forgetNamespace(state: StoreState, space: NamespaceState): void {
  space.erased = true;
  for (const entry of space.index.entries()) state.log.forgetErased(entry);
  state.log.markErased(space.heldBy);
  state.namespaces.indexToChange(space);
  space.index = new OrderedIndex();
  space.key?.wipe();
  state.namespaces.remove(space);
}
