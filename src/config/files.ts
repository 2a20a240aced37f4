/** Reads the files of a configuration; what is not text, or far too large to be a configuration, is refused. */
import { readFile, stat } from 'node:fs/promises';
import { SourceText } from './source-text.ts';

/** Bytes. A ConfigMap holds as much. */
const MAX_FILE = 1_048_576;

/** Why a file could not be read, as a clause: `there is no such file`. */
export class UnreadableError extends Error {
  readonly missing: boolean;

  constructor(message: string, missing = false) {
    super(message);
    this.missing = missing;
  }
}

/** The text of a file. Throws {@link UnreadableError}. */
export async function readSource(file: string): Promise<SourceText> {
  return new SourceText(file, await readText(file));
}

/** Like {@link readSource}, without places. */
export async function readText(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    const info = await stat(file);
    if (info.isDirectory()) throw new UnreadableError('it is a directory');
    // A FIFO would block for ever.
    if (!info.isFile()) throw new UnreadableError('it is no regular file');
    if (info.size > MAX_FILE) throw new UnreadableError(`it is larger than ${MAX_FILE} bytes`);
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof UnreadableError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UnreadableError('there is no such file', true);
    if (code === 'EACCES') throw new UnreadableError('reading it is not permitted');
    throw new UnreadableError(message);
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    throw new UnreadableError('it is UTF-16: save it as UTF-8');
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.includes('\0')) throw new UnreadableError('it is no text: it holds NUL bytes');
    return text;
  } catch (error) {
    if (error instanceof UnreadableError) throw error;
    throw new UnreadableError('it is no UTF-8 text');
  }
}
