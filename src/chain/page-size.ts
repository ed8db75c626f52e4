import { RpcFailure } from './rpc-failure.ts';

/** Number of answers in a row after which a larger page is tried again: a connection may have closed for another reason. */
const GROW_AFTER = 1000;

/**
 * How many items one endpoint is asked for at once. Public nodes limit the bytes of an answer, some by an error and some
 * by closing the connection; then the page is halved, and stays so beyond the connection.
 */
export class PageSize {
  readonly #most: number;
  #size: number;
  #answers = 0;

  /** @param most items at once, as long as the endpoint answers them. */
  constructor(most: number) {
    this.#most = most;
    this.#size = most;
  }

  /**
   * Asks for a page, and for a smaller one as long as the answer is too large.
   * @param ask gets the most items that it may ask for. @throws what it throws.
   */
  async ask<Answer>(ask: (most: number) => Promise<Answer>): Promise<Answer> {
    for (;;) {
      const size = this.#size;
      try {
        const answer = await ask(size);
        this.#noteAnswer();
        return answer;
      } catch (error) {
        if (!(error instanceof RpcFailure && error.mayBeTooLarge) || size === 1) throw error;
        this.#size = Math.min(this.#size, Math.floor(size / 2));
        this.#answers = 0;
        if (error.isConnectionOver) throw error;
      }
    }
  }

  /** Asks for all items, page by page. */
  async *pagesOf<Item, Answer>(
    items: readonly Item[],
    ask: (page: readonly Item[]) => Promise<Answer>,
  ): AsyncGenerator<readonly [page: readonly Item[], answer: Answer]> {
    for (let start = 0; start < items.length; ) {
      let page: readonly Item[] = [];
      const from = start;
      const answer = await this.ask((most) => {
        page = items.slice(from, from + most);
        return ask(page);
      });
      yield [page, answer];
      start += page.length;
    }
  }

  #noteAnswer(): void {
    this.#answers += 1;
    if (this.#answers < GROW_AFTER) return;
    this.#answers = 0;
    this.#size = Math.min(this.#most, this.#size * 2);
  }
}

/** The pages of one endpoint. */
export class PageSizes {
  readonly keys = new PageSize(256);
  /** Records hold quotes of 5 to 16 kB. */
  readonly values = new PageSize(64);
  readonly provenKeys = new PageSize(128);
}
