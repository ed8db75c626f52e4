import { equalBytes } from '../../bytes/concat.ts';
import { SecretBytes } from '../../bytes/secret-bytes.ts';
import { encodeSs58 } from '../../bytes/ss58.ts';
import { ProblemError } from '../../errors/latchkey-error.ts';
import { Lineage } from '../../lineage/lineage.ts';
import { SealedStore } from '../../store/sealed-store.ts';
import { withDeadline } from '../../time/deadline.ts';
import { orAborted } from '../../time/or-aborted.ts';
import { Healer } from '../heal/healer.ts';
import { AccountHold, bootRandom } from '../node/account-hold.ts';
import { createIdentity, type NodeIdentity } from '../node/identity.ts';
import { NodeFolder } from '../node/node-folder.ts';
import type { OpenNode } from '../node/open-node.ts';
import { describeFailure, failureOf } from '../peer/peer-failure.ts';
import { assembleNode, bookOf, leaseOf, openStoreOf } from './assemble-node.ts';
import type { BootStage, GuardianParts } from './boot-stage.ts';

/** How long a new node tries to get its first servers before it continues unbacked. */
const FRESH_TICKS = 5;
/** How long the end of a birth that failed waits for servers to erase its keys. */
const FORGETTING_MS = 2_000;

/**
 * First boot: everything is made in `node.new` and put into place when it is whole. Of two processes that begin at once
 * one makes the node.
 * @returns `undefined` when it was stopped before, or another process was faster.
 * @throws ProblemError NODE_MISSING, NODE_NEVER_BACKED; RefusalError NODE_RUNNING.
 */
export async function createNode(stage: BootStage): Promise<OpenNode | undefined> {
  const { expectedAccount } = stage.parts;
  if (expectedAccount !== undefined) {
    throw new ProblemError(
      'NODE_MISSING',
      `the store of ${encodeSs58(expectedAccount)} is not on this disk`,
      {
        hint: 'mount the right disk, or remove node.expectedAccount to let this machine become a new node',
      },
    );
  }
  const lock = stage.parts.holdsFolder ? undefined : await stage.folder.lock();
  try {
    // Another process may have finished while this one waited.
    if ((await stage.folder.look()) !== 'fresh') return undefined;
    return await make(stage);
  } finally {
    await lock?.release();
  }
}

async function make(stage: BootStage): Promise<OpenNode | undefined> {
  const { fileSystem, tools } = stage.parts;
  await stage.folder.begin();
  const storeKey = SecretBytes.adopt(tools.random(32));
  const secrets: Wipable[] = [storeKey];
  let making: SealedStore | undefined;
  let node: OpenNode | undefined;
  try {
    const path = NodeFolder.storePath(stage.folder.newPath);
    making = await SealedStore.create({ fileSystem, path, storeKey, random: tools.random });
    node = await enrolAndFinish(stage, making, storeKey, secrets);
    return node;
  } finally {
    if (node === undefined) {
      // `node.new` was never used; the next attempt creates another.
      await making?.close().catch(() => undefined);
      for (const secret of secrets) secret.wipe();
    }
  }
}

/** Keys that must not stay in memory when the creation does not succeed. */
interface Wipable {
  wipe(): void;
}

/** @param secrets takes what is to be wiped unless a node is returned. */
async function enrolAndFinish(
  stage: BootStage,
  making: SealedStore,
  storeKey: SecretBytes,
  secrets: Wipable[],
): Promise<OpenNode | undefined> {
  const { parts, folder, stopped } = stage;
  const { mayStayUnbacked = true } = parts;
  const { random } = parts.tools;
  const lineage = new Lineage(SecretBytes.adopt(random(32)));
  secrets.push(lineage);
  const hold = AccountHold.ofNewLineage(lineage, bootRandom(random));
  const identity = await createIdentity(making, random, hold.incarnation, parts.leaseMs);
  secrets.push(identity.accountSeed);
  const lease = leaseOf(parts, true);
  const begun = await assembleNode({ store: making, storeKey, identity, hold, lease }, (leave) =>
    bookOf(parts, folder.newPath, { storeKey, leave }, undefined),
  );
  const { book } = begun;
  secrets.push(book);
  let isInPlace = false;
  let state: string;
  try {
    state = await firstSlots(stage, begun);
    if (!book.isComplete && stopped.aborted) return undefined;
    if (!book.isComplete && !mayStayUnbacked) {
      throw new ProblemError('NODE_NEVER_BACKED', 'too few key servers took a slot of a new node', {
        hint: 'a store whose key nobody else holds would be lost when this command ends; `latchkey serve` makes one',
      });
    }
    await making.close();
    await folder.finish();
    isInPlace = true;
  } finally {
    // A failed rename may still have put the node into place; then its servers must keep their keys.
    if (!isInPlace && (await folder.look()) === 'fresh') await forgetSlots(parts, begun);
  }
  parts.log('info', 'node.created', { account: encodeSs58(identity.account), state });
  const store = await openStoreOf(parts, folder.path, storeKey);
  return assembleNode({ store, storeKey, identity, hold, lease }, (leave) =>
    bookOf(parts, folder.path, { storeKey, leave }, book.file, book),
  );
}

/** Erases the keys of a node that was not made at their servers, where nothing else would ever erase them. */
async function forgetSlots(
  { tools, chain, clock, log }: GuardianParts,
  { identity: { account }, book, hold }: OpenNode,
): Promise<void> {
  if (book.slots().length === 0) return;
  const forgetAll = async (signal: AbortSignal): Promise<void> => {
    const { servers } = await orAborted(chain.snapshot(), signal);
    const tellings = book.slots().map(async ({ slot: { server, slotId } }) => {
      const record = servers.find((candidate) => equalBytes(candidate.account, server));
      const key = book.keyOf(slotId);
      if (record === undefined || key === undefined) return;
      await tools.client
        .forget(record, { account, slotId, key, observer: hold }, hold.incarnation, signal)
        .catch((error: unknown) => {
          const reason = describeFailure(failureOf(error));
          log('debug', 'slot.not-forgotten', { server: encodeSs58(server), reason });
        });
    });
    await Promise.all(tellings);
  };
  await withDeadline(clock, FORGETTING_MS, forgetAll).catch(() => undefined);
}

/** Asks servers for the first slots of a node in the making; returns the name of the state that this came to. */
async function firstSlots(stage: BootStage, begun: OpenNode): Promise<string> {
  const healer = new Healer(stage.parts, begun);
  stage.report({ name: 'fresh', slots: [] });
  let state = 'fresh';
  for (let tick = 0; tick < FRESH_TICKS && !stage.stopped.aborted; tick++) {
    state = (await stage.tick(healer)).name;
    if (state === 'backed' || !(await mayEnrol(stage, begun.identity))) break;
    await stage.pause(stage.parts.options.retryMinMs);
  }
  return state;
}

/** Whether there is any server to enrol with; without one a new node continues unbacked at once. */
async function mayEnrol({ parts, stopped }: BootStage, { account }: NodeIdentity): Promise<boolean> {
  const { servers } = await orAborted(parts.chain.snapshot(), stopped);
  return servers.some((server) => server.active && !equalBytes(server.account, account));
}
