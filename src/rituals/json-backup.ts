import { z } from 'zod';
import { toBase64, tryFromBase64 } from '../bytes/base64.ts';
import { concatBytes, utf8 } from '../bytes/concat.ts';
import { copyBytes } from '../bytes/copy-bytes.ts';
import { EvidenceError, ProblemError } from '../errors/latchkey-error.ts';
import type { BackupSink } from '../store/api/backup-api.ts';

/** A JSON text is parsed as a whole, so it must fit into memory more than once; and V8's strings end at 512 MiB. */
export const MAX_JSON_BACKUP_BYTES = 256 * 1024 * 1024;
/** A multiple of 3, so that only the last part has padding. */
const PART_BYTES = 48 * 1024;
/** As many as a text of that size can have; a hostile file could have millions of empty ones. */
const MAX_PARTS = MAX_JSON_BACKUP_BYTES / PART_BYTES;
const ABOUT = 'sealed; `latchkey rituals restore` opens it with the password';

const jsonBackup = z.strictObject({
  format: z.literal('latchkey-rituals-backup'),
  version: z.literal(1),
  about: z.string().optional(),
  sealed: z.array(z.string()).max(MAX_PARTS),
});

/** Whether a path names a backup in JSON: by its ending. */
export const isJsonPath = (path: string): boolean => path.toLowerCase().endsWith('.json');

/** Writes the bytes of a sealed backup as one JSON document, so that what takes only JSON can keep it. */
export class JsonBackupWriter {
  readonly #sink: BackupSink;
  readonly #maxBytes: number;
  #rest: Uint8Array = new Uint8Array(0);
  #written = 0;
  #parts = 0;

  constructor(sink: BackupSink, maxBytes: number = MAX_JSON_BACKUP_BYTES) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes. @throws ProblemError RITUALS_BACKUP_TOO_LARGE when no restore could read the text. */
  async write(bytes: Uint8Array): Promise<void> {
    const all = concatBytes(this.#rest, bytes);
    let start = 0;
    for (; start + PART_BYTES <= all.length; start += PART_BYTES)
      await this.#writePart(all.subarray(start, start + PART_BYTES));
    this.#rest = copyBytes(all.subarray(start), 'rest');
  }

  /** Ends the document. */
  async finish(): Promise<void> {
    await this.#writePart(this.#rest);
    await this.#writeText('\n]}\n');
  }

  async #writePart(part: Uint8Array): Promise<void> {
    const head = JSON.stringify({ format: 'latchkey-rituals-backup', version: 1, about: ABOUT, sealed: [] });
    await this.#writeText(this.#parts === 0 ? `${head.slice(0, -2)}\n` : ',\n');
    await this.#writeText(`"${toBase64(part)}"`);
    this.#parts += 1;
  }

  async #writeText(text: string): Promise<void> {
    const bytes = utf8(text);
    this.#written += bytes.length;
    if (this.#written > this.#maxBytes)
      throw new ProblemError('RITUALS_BACKUP_TOO_LARGE', `JSON of more than ${this.#maxBytes} bytes`, {
        hint: 'give the file a name without .json: the sealed file has no such limit',
      });
    await this.#sink(bytes);
  }
}

/**
 * The sealed backup in a JSON text, whatever its spaces and the order of its members. The bytes are not verified here.
 * @throws EvidenceError STORE_BACKUP_INVALID when it is none, or not whole.
 */
export function readJsonBackup(text: Uint8Array): Uint8Array {
  const { data, error } = jsonBackup.safeParse(parse(text));
  if (data === undefined) throw invalid(`has no such ${error.issues[0]?.path.join('.') || 'form'}`);
  const parts = data.sealed.map((part, index) => {
    const bytes = tryFromBase64(part);
    if (bytes === undefined) throw invalid(`sealed.${index} is not canonical base64`);
    return bytes;
  });
  return concatBytes(...parts);
}

function parse(text: Uint8Array): unknown {
  if (text.length > MAX_JSON_BACKUP_BYTES) throw invalid(`it has more than ${MAX_JSON_BACKUP_BYTES} bytes`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    throw invalid('it is not JSON, or it was cut off');
  }
}

const invalid = (why: string): EvidenceError =>
  new EvidenceError('STORE_BACKUP_INVALID', `this is not a backup of rituals in JSON: ${why}`);
