/** Lines of a stream of bytes, for bodies that are a line per message. */

const LF = 10;
const CR = 13;

/**
 * The lines of the pieces, without LF or CR LF; empty ones are left out. What stands behind the last LF is no line: the stream was cut.
 * Throws for a line of more than `maxBytes`: no more than that and one piece is ever kept. A line is good until the next is asked for.
 */
export async function* linesOf(pieces: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let kept = 0;
  const check = (bytes: number): void => {
    if (bytes > maxBytes) throw new Error(`a line of the answer has more than ${maxBytes} bytes`);
  };
  for await (const piece of pieces) {
    let start = 0;
    for (let end = piece.indexOf(LF); end !== -1; end = piece.indexOf(LF, start)) {
      let line = piece.subarray(start, end);
      start = end + 1;
      check(kept + line.length);
      if (kept > 0) {
        line = Buffer.concat([...parts, line]);
        parts = [];
        kept = 0;
      }
      if (line.at(-1) === CR) line = line.subarray(0, -1);
      if (line.length > 0) yield line;
    }
    if (start < piece.length) {
      parts.push(piece.subarray(start));
      kept += piece.length - start;
      check(kept);
    }
  }
}
