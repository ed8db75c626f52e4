import { describe, expect, it } from 'vitest';
import { PageSize } from '../../../src/chain/page-size.ts';
import { RpcFailure } from '../../../src/chain/rpc-failure.ts';

const items = Array.from({ length: 100 }, (_, index) => index);

/** Asks an endpoint for all items; the endpoint answers a limited number of items at once. */
async function pagesOf(size: PageSize, most: number, isConnectionOver = false) {
  const asked: number[] = [];
  const got: number[] = [];
  const ask = async (page: readonly number[]): Promise<readonly number[]> => {
    asked.push(page.length);
    if (page.length > most) throw new RpcFailure('too large', { mayBeTooLarge: true, isConnectionOver });
    return page;
  };
  for await (const [page, answer] of size.pagesOf(items, ask)) {
    expect(answer).toEqual(page);
    got.push(...answer);
  }
  return { asked, got };
}

describe('a page', () => {
  it('is halved until the answer is small enough, and keeps this size', async () => {
    const size = new PageSize(64);
    const first = await pagesOf(size, 20);
    expect(first.asked).toEqual([64, 32, 16, 16, 16, 16, 16, 16, 4]);
    expect(first.got).toEqual(items);
    expect((await pagesOf(size, 20)).asked).toEqual([16, 16, 16, 16, 16, 16, 4]);
  });

  it('is halved once when the connection ends, and the caller gets the error', async () => {
    const size = new PageSize(64);
    await expect(pagesOf(size, 20, true)).rejects.toBeInstanceOf(RpcFailure);
    await expect(pagesOf(size, 20, true)).rejects.toBeInstanceOf(RpcFailure);
    expect((await pagesOf(size, 20, true)).asked[0]).toBe(16);
  });

  it('with one item is not halved', async () => {
    await expect(pagesOf(new PageSize(64), 0)).rejects.toBeInstanceOf(RpcFailure);
  });

  it('is not changed by other failures', async () => {
    const size = new PageSize(8);
    const failure = new RpcFailure('no answer');
    await expect(size.ask(async () => Promise.reject(failure))).rejects.toBe(failure);
    expect((await pagesOf(size, 8)).asked[0]).toBe(8);
  });

  it('grows again after a thousand answers, to its first size at most', async () => {
    const size = new PageSize(64);
    await pagesOf(size, 33);
    const sizes = new Set<number>();
    for (let answer = 0; answer < 5000; answer += 1) {
      await size.ask(async (most) => {
        sizes.add(most);
      });
    }
    expect([...sizes]).toEqual([32, 64]);
  });
});
