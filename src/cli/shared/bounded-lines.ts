/** One line of a stream: its bytes, or the fact that it was longer than allowed and was skipped. */
export type Line = { readonly tooLong: false; readonly bytes: Uint8Array } | { readonly tooLong: true };

const NEWLINE = 0x0a;

/**
 * Splits a stream into lines without ever holding more than one of them, and no more than `maxBytes` of that. The
 * last line needs no newline.
 */
export async function* boundedLines(
  stream: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let tooLong = false;
  const take = (): Line => {
    const line: Line = tooLong ? { tooLong } : { tooLong, bytes: Buffer.concat(parts) };
    [parts, held, tooLong] = [[], 0, false];
    return line;
  };
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (held > 0 || tooLong) yield take();

  function keep(part: Uint8Array): void {
    held += part.length;
    if (held > maxBytes) [parts, tooLong] = [[], true];
    else if (part.length > 0) parts.push(part);
  }
}
