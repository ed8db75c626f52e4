const ROWS_PER_PAGE = 1024;
/** Bytes of a number in a row. */
export const NUMBER_BYTES = 8;

/**
 * Many byte strings of one length in few large arrays: a small array of its own takes more memory for its object than
 * for its bytes. The garbage collector does not move the pages, so an erased row leaves no copy.
 */
export class ByteRows {
  readonly #rowBytes: number;
  readonly #pages: DataView[] = [];
  readonly #free: number[] = [];
  #used = 0;

  /** @param rowBytes length of each row. */
  constructor(rowBytes: number) {
    this.#rowBytes = rowBytes;
  }

  /** A row of zeros. */
  take(): ByteRow {
    const reused = this.#free.pop();
    if (reused !== undefined) return new ByteRow(this, reused);
    if (this.#used % ROWS_PER_PAGE === 0) {
      this.#pages.push(new DataView(new ArrayBuffer(ROWS_PER_PAGE * this.#rowBytes)));
    }
    return new ByteRow(this, this.#used++);
  }

  /** For {@link ByteRow}: the bytes of a row. */
  view(row: number, from: number, to = this.#rowBytes): Uint8Array {
    return new Uint8Array(this.#pageOf(row).buffer, this.#startOf(row) + from, to - from);
  }

  /** For {@link ByteRow}: a number in a row. */
  number(row: number, at: number): number {
    return this.#pageOf(row).getFloat64(this.#startOf(row) + at);
  }

  /** For {@link ByteRow}: writes a number into a row. */
  setNumber(row: number, at: number, value: number): void {
    this.#pageOf(row).setFloat64(this.#startOf(row) + at, value);
  }

  /** For {@link ByteRow}: erases a row, which another one may use from now on. */
  giveBack(row: number): void {
    this.view(row, 0).fill(0);
    this.#free.push(row);
  }

  #startOf(row: number): number {
    return (row % ROWS_PER_PAGE) * this.#rowBytes;
  }

  #pageOf(row: number): DataView {
    const page = this.#pages[Math.floor(row / ROWS_PER_PAGE)];
    if (page === undefined) throw new RangeError(`there is no row ${row}`);
    return page;
  }
}

const ERASED = -1;

/** One of {@link ByteRows}. */
export class ByteRow {
  readonly #rows: ByteRows;
  #number: number;

  constructor(rows: ByteRows, number: number) {
    this.#rows = rows;
    this.#number = number;
  }

  /**
   * The bytes of the row themselves, all or a part. They must not be kept: when the row is erased, they belong to
   * another one.
   * @throws TypeError when the row was erased.
   */
  view(from = 0, to?: number): Uint8Array {
    return this.#rows.view(this.#living(), from, to);
  }

  /** The number at a place of the row: {@link NUMBER_BYTES}, exact up to 2^53. @throws TypeError as {@link view}. */
  number(at: number): number {
    return this.#rows.number(this.#living(), at);
  }

  /** Writes a number to a place of the row. @throws TypeError as {@link view}. */
  setNumber(at: number, value: number): void {
    this.#rows.setNumber(this.#living(), at, value);
  }

  /** Overwrites the bytes with zeros and gives them back; later {@link view} throws. */
  erase(): void {
    if (this.#number === ERASED) return;
    this.#rows.giveBack(this.#number);
    this.#number = ERASED;
  }

  #living(): number {
    if (this.#number === ERASED) throw new TypeError('this row was erased');
    return this.#number;
  }
}
