import { SecretBytes } from '../bytes/secret-bytes.ts';
import { Lineage } from '../lineage/lineage.ts';
import { type Check, requireRule } from './check.ts';
import type { Answer, ForeignServer, PreparedRequest } from './foreign-server.ts';
import { exchange, type SlotHolder, statusContent } from './mac-exchange.ts';

/** A rule that is tried on a server. */
export type ServerCheck = Check<ForeignServer>;

/** Requires an error of this status and code, in the form of RFC 9457. */
export function requireProblem(
  answer: Answer,
  status: number | readonly number[],
  codes: readonly string[],
  what: string,
): void {
  const statuses = typeof status === 'number' ? [status] : status;
  const { code, type, title, detail } = answer.json;
  const got = `${answer.status} ${String(code ?? answer.text.slice(0, 80))}`;
  requireRule(
    statuses.includes(answer.status),
    `${what}: must be refused with ${statuses.join(' or ')} ${codes.join(' or ')}, got ${got}`,
  );
  requireRule(
    codes.length === 0 || codes.includes(String(code)),
    `${what}: the code must be ${codes.join(' or ')}, got ${got}`,
  );
  requireRule(
    answer.contentType.startsWith('application/problem+json'),
    `${what}: an error must be application/problem+json, got ${answer.contentType}`,
  );
  const isWhole =
    [code, title, detail].every((value) => typeof value === 'string') &&
    type === `urn:latchkey:error:${String(code)}`;
  requireRule(
    isWhole && answer.json['status'] === answer.status,
    `${what}: an error needs type, title, status, code and detail`,
  );
}

/** A key that the server does not know. */
export const randomSecret = (subject: ForeignServer): SecretBytes =>
  SecretBytes.adopt(subject.options.random(32));

/** A slot with everything that belongs to it. */
export interface Made extends SlotHolder {
  readonly token: SecretBytes;
}

/** Makes a key under a slot id. @throws Violation. */
export async function createSlot(subject: ForeignServer): Promise<Made> {
  const slotId = subject.newSlotId();
  const grant = await subject.obtain({ intent: 'create', slotId });
  requireRule(grant.created, 'create: created must be true');
  requireRule(grant.recoveryToken !== undefined, 'create: the answer has no recovery token');
  return { slotId, key: grant.key, token: grant.recoveryToken };
}

/** A slot that is linked to a lineage and confirmed, shown by the first boot. */
export async function linkedSlot(subject: ForeignServer) {
  const slot = await createSlot(subject);
  const lineage = new Lineage(randomSecret(subject));
  const lineageKey = lineage.keyOf(subject.server);
  const incarnation = lineage.incarnation(1, subject.options.random(8));
  const state = await exchange(
    subject,
    'key-status',
    slot,
    statusContent(subject, slot, { confirm: true, lineageKey, incarnation }),
  );
  return { slot, lineage, lineageKey, incarnation, state };
}

/** Sends a good key request with one change. */
export async function changed(
  subject: ForeignServer,
  change: (request: PreparedRequest) => Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const request = await subject.prepare();
  return subject.submit(request, change(request));
}

/** Longer than challenges and timestamps are good for. */
export const LATER_MS = 600_000;
