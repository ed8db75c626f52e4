import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { toBase64, tryFromBase64 } from '../bytes/base64.ts';
import { ProblemError } from '../errors/latchkey-error.ts';
import type { DecryptionInputs } from '../rituals/decryption-inputs.ts';
import type { Ritual } from '../rituals/ritual.ts';
import { type AgentQuestion, askAgent, problemOfAnswer } from './agent-connection.ts';

/** A value of 16 MiB in base64, and what is around it. */
const MAX_ANSWER_BYTES = 24 * 1024 * 1024;

/** Whatever else answers with an error: its code is then unknown. */
const problem = z.record(z.string(), z.unknown()).catch({});
const bytes = z.string().transform((text, context) => {
  const read = tryFromBase64(text);
  if (read !== undefined) return read;
  context.addIssue('must be canonical base64');
  return z.NEVER;
});
const integer = z.int().min(0);
const recordAnswer = z.object({ value: bytes });
const writtenAnswer = z.object({ written: z.boolean() });
const ritualAnswer = z.object({ id: integer, timestamp: integer, fragment: bytes });
const activeAnswer = z.object({
  ...{ dkgSize: integer, threshold: integer, totalAggregations: integer },
  ...{ initTimestamp: integer, endTimestamp: integer },
  ...{ aggregatedTranscript: bytes, publicKey: bytes },
});
const inputsAnswer = ritualAnswer.extend({
  ritual: activeAnswer,
  validators: z.array(z.object({ address: z.string(), publicKey: bytes })),
  position: integer,
});

/**
 * The agent of `latchkey serve` on its Unix socket: the store and the rituals of the node on the same machine. Each
 * method throws ProblemError with the code that the agent gave (docs/errors.md), NODE_UNREACHABLE where no agent listens
 * or its answer breaks off, and NODE_LOCKED while the store is closed. The names `.`, `..`, the empty one and
 * those with half a surrogate pair are FIELD_INVALID, and nothing is sent. Nothing is retried.
 */
export class AgentClient {
  readonly #socketPath: string;
  readonly #quietMs: number;

  /** @param options `quietMs`: how long nothing may come before an answer is given up (20,000). */
  constructor(socketPath: string, { quietMs = 20_000 }: { readonly quietMs?: number } = {}) {
    this.#socketPath = socketPath;
    this.#quietMs = quietMs;
  }

  /** The state of the node, as `latchkey status --json` prints it. */
  status(): Promise<Readonly<Record<string, unknown>>> {
    return this.#ask('GET', '/status', z.record(z.string(), z.unknown()));
  }

  /** Makes a namespace, or leaves the one that is there. */
  async createNamespace(namespace: string): Promise<void> {
    await this.#ask('PUT', path`/kv/${namespace}`, z.object({}), {});
  }

  /** Writes a record; it is on the disk when this resolves. */
  async put(namespace: string, name: string, value: Uint8Array): Promise<void> {
    await this.#ask('PUT', path`/kv/${namespace}/${name}`, z.object({}), { value: toBase64(value) });
  }

  /** Reads a record. @throws ProblemError STORE_NAME_MISSING. */
  async get(namespace: string, name: string): Promise<Uint8Array> {
    return (await this.#ask('GET', path`/kv/${namespace}/${name}`, recordAnswer)).value;
  }

  /** Removes a record. */
  async delete(namespace: string, name: string): Promise<void> {
    await this.#ask('DELETE', path`/kv/${namespace}/${name}`, z.object({}));
  }

  /** As `Datastore.storeFragment`: false when the same bytes were stored before. */
  async storeFragment(id: number, timestamp: number, fragment: Uint8Array): Promise<boolean> {
    const body = { timestamp, fragment: toBase64(fragment) };
    return (await this.#ask('PUT', path`/rituals/${id}`, writtenAnswer, body)).written;
  }

  /** As `Datastore.retrieveFragment`. */
  async retrieveFragment(id: number): Promise<Ritual> {
    return this.#ask('GET', path`/rituals/${id}`, ritualAnswer);
  }

  /** As `Datastore.deleteFragment`. */
  async deleteFragment(id: number): Promise<void> {
    await this.#ask('DELETE', path`/rituals/${id}`, z.object({}));
  }

  /** As `Datastore.decryptionInputs`, by the node's clock: what a share of a threshold decryption is made of. */
  async decryptionInputs(id: number, validator: string): Promise<DecryptionInputs> {
    const found = await this.#ask('POST', path`/rituals/${id}/decryption`, inputsAnswer, { validator });
    return { ...found, ritual: { id, ...found.ritual } };
  }

  async #ask<A extends z.ZodType>(
    method: NonNullable<AgentQuestion['method']>,
    at: string,
    schema: A,
    body?: object,
  ): Promise<z.output<A>> {
    const question = { quietMs: this.#quietMs, method, ...(body === undefined ? {} : { body }) };
    const answer = await askAgent(this.#socketPath, at, question);
    const json = await this.#read(answer);
    if (answer.statusCode !== 200) throw problemOfAnswer(answer.statusCode, problem.parse(json));
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    // The message of the schema could show a part of a fragment.
    throw this.#unreadable();
  }

  async #read(answer: IncomingMessage): Promise<unknown> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const chunk of answer) {
        length += chunk.length;
        if (length > MAX_ANSWER_BYTES) throw this.#unreadable();
        chunks.push(chunk);
      }
      return JSON.parse(Buffer.concat(chunks).toString('utf8'));
    } catch {
      throw this.#unreadable();
    }
  }

  #unreadable(): ProblemError {
    return new ProblemError('NODE_UNREACHABLE', `what answers on ${this.#socketPath} is no agent`);
  }
}

/**
 * A path of the agent; each value is one part of it.
 * @throws ProblemError FIELD_INVALID for a value that HTTP software removes from a path, so that it would name another thing.
 */
function path(texts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return texts.map((text, index) => text + (index < values.length ? part(`${values[index]}`) : '')).join('');
}

function part(value: string): string {
  // Half a surrogate pair has no UTF-8 form.
  if (value !== '' && value !== '.' && value !== '..' && !/\p{Surrogate}/u.test(value))
    return encodeURIComponent(value);
  throw new ProblemError('FIELD_INVALID', 'a name must be well-formed Unicode, and not empty, . or ..', {
    observed: value,
  });
}
