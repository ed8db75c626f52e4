/** One row of the table of error codes. */
export interface CodeEntry {
  /** HTTP status when the error ends a request. */
  readonly status: number;
  /** One plain sentence for docs/errors.md. */
  readonly summary: string;
}
