import { describe, expect, it } from 'vitest';
import type { ChainView } from '../../../src/chain/chain-view.ts';
import { SwitchedChainView } from '../../../src/chain/switched-chain-view.ts';
import type { Clock } from '../../../src/time/clock.ts';
import { memoryChain } from '../../support/memory-chain.ts';

/** A clock whose sleeps end at once. */
const clock: Clock = { nowMs: () => 0, sleep: async () => undefined };
const accepted = (byte: number) => ({ acceptedMeasurements: [new Uint8Array(32).fill(byte)] });

/** The view, and whether it was closed. */
function watched(view: ChainView) {
  const state = { isClosed: false };
  const close = async (): Promise<void> => {
    state.isClosed = true;
    await view[Symbol.asyncDispose]();
  };
  return { state, view: { ...view, [Symbol.asyncDispose]: close } };
}

describe('a chain view with other endpoints', () => {
  it('shows them to everybody who asks or listens, and closes the former', async () => {
    const [first, second] = [memoryChain(accepted(1)), memoryChain(accepted(2))];
    const former = watched(first);
    const view = new SwitchedChainView(former.view, clock);
    const heard: number[] = [];
    view.subscribe(({ acceptedMeasurements }) => void heard.push(acceptedMeasurements[0]?.[0] ?? 0));
    await view.moveTo(second);
    expect(former.state.isClosed).toBe(true);
    second.set(accepted(3));
    expect(heard).toEqual([2, 3]);
    expect((await view.snapshot()).acceptedMeasurements[0]?.[0]).toBe(3);
    first.set(accepted(9));
    expect(heard).toEqual([2, 3]);
  });

  it('stays with the present ones while the new ones do not answer, and closes those', async () => {
    const first = memoryChain(accepted(1));
    const second = watched(memoryChain(accepted(2)));
    const view = new SwitchedChainView(first, clock);
    await second.view[Symbol.asyncDispose]();
    second.state.isClosed = false;
    await expect(view.moveTo(second.view)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect(second.state.isClosed).toBe(true);
    expect((await view.snapshot()).acceptedMeasurements[0]?.[0]).toBe(1);
  });

  it('takes none that show an older block than is known, and waits for those that catch up', async () => {
    const first = memoryChain(accepted(1));
    first.extend(1);
    first.extend(2);
    const view = new SwitchedChainView(first, clock);
    expect((await view.snapshot()).block.number).toBe(3);
    await expect(view.moveTo(memoryChain(accepted(2)))).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect((await view.snapshot()).acceptedMeasurements[0]?.[0]).toBe(1);
    const slow = memoryChain(accepted(3));
    const growing = new SwitchedChainView(first, {
      nowMs: () => 0,
      sleep: async () => void slow.extend(3),
    });
    await growing.snapshot();
    await growing.moveTo(slow);
    expect((await growing.snapshot()).acceptedMeasurements[0]?.[0]).toBe(3);
  });

  it('answers an asker of the former ones from the new ones', async () => {
    let reject: (error: Error) => void = () => undefined;
    const first: ChainView = {
      snapshot: () => new Promise((_, fail) => (reject = fail)),
      subscribe: () => () => undefined,
      [Symbol.asyncDispose]: async () => reject(new Error('closed')),
    };
    const view = new SwitchedChainView(first, clock);
    const asked = view.snapshot();
    await view.moveTo(memoryChain(accepted(2)));
    expect((await asked).acceptedMeasurements[0]?.[0]).toBe(2);
  });

  it('uses the new ones also when the former cannot be closed', async () => {
    const former: ChainView = {
      ...memoryChain(accepted(1)),
      [Symbol.asyncDispose]: async () => {
        throw new Error('the connection is in use');
      },
    };
    const view = new SwitchedChainView(former, clock);
    const next = watched(memoryChain(accepted(2)));
    await view.moveTo(next.view);
    expect(next.state.isClosed).toBe(false);
    expect((await view.snapshot()).acceptedMeasurements[0]?.[0]).toBe(2);
  });

  it('that was closed takes no others', async () => {
    const view = new SwitchedChainView(memoryChain(), clock);
    await view[Symbol.asyncDispose]();
    const next = watched(memoryChain());
    await expect(view.moveTo(next.view)).rejects.toMatchObject({ code: 'CHAIN_UNAVAILABLE' });
    expect(next.state.isClosed).toBe(true);
    await expect(view.snapshot()).rejects.toThrow();
  });
});
