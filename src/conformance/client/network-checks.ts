import { systemRandom } from '../../crypto/random.ts';
import { requireRule } from '../check.ts';
import { neverAsked, problem, refuses, replies } from './refusals.ts';
import type { ClientCheck } from './request-checks.ts';

const toKey = ['create', 'link'] as const;
const KEY_REQUEST = '/request-encryption-key';
const ELSEWHERE = '/elsewhere';
/** More than any client needs to read, and more than the buffers of two kernels. */
const MOST_READ_BYTES = 32 * 1024 * 1024;
/** More requests to a server that always refuses would be an attack on it. */
const MOST_REQUESTS = 10;
const RETRY_AFTER_S = 2;
/** Longer than the collateral of mock-tdx lives, which is 30 days. */
const AFTER_COLLATERAL_MS = 90 * 86_400_000;
const attested = ['attest', 'create'] as const;
/** Deeper than any message of the protocol, and more than recursive readers can take. */
const NESTED = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
const silence = { status: 200, body: { kind: 'silence' } } as const;
/** Which of seven servers are silent: some are asked before them, and one after them. */
const SILENT = [3, 4, 5];
/**
 * Life of a challenge, in answers that may be awaited: longer than one, for a client that waits for all servers at once,
 * and shorter than three, for one that waits for each silent server.
 */
const LIFE_IN_TIMEOUTS = 2.5;

const silentServers = (name: string, path: string): ClientCheck => ({
  name,
  run: async (client) => {
    const faults = Array.from({ length: 7 }, (_, index) =>
      SILENT.includes(index) ? { reply: replies(path, silence) } : undefined,
    );
    const challengeTtlMs = client.timeoutMs * LIFE_IN_TIMEOUTS;
    const run = await client.run({ steps: toKey, others: faults.slice(1), challengeTtlMs });
    for (const index of faults.keys()) {
      if (SILENT.includes(index)) {
        requireRule(run.outcome('create', index).ok === false, 'the client takes silence for an answer');
        continue;
      }
      for (const step of toKey) {
        const { ok, reason = 'no reason' } = run.outcome(step, index);
        requireRule(ok === true, `while three of seven servers are silent, ${step} ends with: ${reason}`);
      }
    }
  },
});

const redirect = (status: number, path: string): ClientCheck =>
  refuses({
    name: `redirect-${status}`,
    what: `a redirect with status ${status}`,
    fault: {
      reply: replies(path, { status, headers: { location: `${ELSEWHERE}${path}` }, body: '' }),
    },
    steps: toKey,
    at: 'create',
    also: neverAsked(ELSEWHERE, 'the client follows a redirect'),
  });

const httpChecks: readonly ClientCheck[] = [
  redirect(302, '/challenge'),
  redirect(307, KEY_REQUEST),
  refuses({
    name: 'answer-oversized',
    what: 'an answer that does not end',
    fault: { reply: replies('/challenge', { status: 200, body: { kind: 'endless' } }) },
    steps: toKey,
    at: 'create',
    also: (run) =>
      requireRule(
        run.listener(0).endlessBytes < MOST_READ_BYTES,
        `the client reads ${run.listener(0).endlessBytes} bytes of one answer`,
      ),
  }),
  refuses({
    name: 'answer-missing',
    what: 'a connection without an answer',
    fault: { reply: replies('/challenge', silence) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-cut',
    what: 'an answer that is cut off',
    fault: { reply: replies(KEY_REQUEST, { status: 200, body: { kind: 'cut' } }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-not-json',
    what: 'a page instead of JSON',
    fault: { reply: replies('/challenge', { status: 200, body: '<html>welcome</html>' }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'error-not-json',
    what: 'an error without a problem document',
    fault: { reply: replies(KEY_REQUEST, { status: 502, body: '<html>bad gateway</html>' }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-nested',
    what: 'an answer of lists in lists',
    fault: { reply: replies('/challenge', { status: 200, body: NESTED }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'error-nested',
    what: 'an error of lists in lists',
    fault: {
      reply: replies(KEY_REQUEST, { status: 503, body: `{"code":"SERVER_BUSY","detail":${NESTED}}` }),
    },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-drips',
    what: 'an answer whose head never ends',
    fault: { reply: replies('/challenge', { status: 200, body: { kind: 'drip' } }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-interim',
    what: 'interim answers without end',
    fault: { reply: replies(KEY_REQUEST, { status: 100, body: { kind: 'interim' } }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'refusal-told',
    what: 'a refusal',
    fault: { reply: replies(KEY_REQUEST, problem(403, 'MEASUREMENT_REFUSED')) },
    steps: toKey,
    at: 'create',
    also: (_, { reason, code }) =>
      requireRule(
        reason === 'refused' && code === 'MEASUREMENT_REFUSED',
        `a refusal must be told with its code, got ${reason} ${code ?? 'without a code'}`,
      ),
  }),
  refuses({
    name: 'retry-bounded',
    what: 'a server that always refuses',
    fault: { reply: replies('/challenge', problem(503, 'NODE_LOCKED')) },
    steps: toKey,
    at: 'create',
    also: (run) => {
      const { length } = run.server(0).requests;
      requireRule(length <= MOST_REQUESTS, `the client asks ${length} times a server that always refuses`);
    },
  }),
  {
    name: 'retry-after',
    run: async (client) => {
      const run = await client.run({
        steps: toKey,
        fault: {
          reply: ({ path }, earlier) =>
            path === '/challenge' && earlier.length === 0
              ? problem(429, 'RATE_LIMITED', { 'retry-after': `${RETRY_AFTER_S}` })
              : undefined,
        },
      });
      const [first, second] = run.server(0).requests;
      requireRule(first !== undefined, 'the client asks for nothing');
      const waitedMs = (second?.atMs ?? Number.POSITIVE_INFINITY) - first.atMs;
      requireRule(
        waitedMs >= RETRY_AFTER_S * 1_000,
        `the client asks again after ${waitedMs} ms; Retry-After was ${RETRY_AFTER_S} s`,
      );
    },
  },
  {
    name: 'other-server-goes-on',
    run: async (client) => {
      const run = await client.run({
        steps: toKey,
        fault: { reply: replies('/challenge', silence) },
      });
      for (const step of toKey) {
        const { ok, reason = 'no reason' } = run.outcome(step, 1);
        requireRule(ok === true, `while another server is silent, ${step} ends with: ${reason}`);
      }
    },
  },
  silentServers('silent-challenges', '/challenge'),
  silentServers('silent-key-requests', KEY_REQUEST),
];

const asksForNoKey = neverAsked('/challenge', 'the client asks a server for a key that it must not trust');

const attestationChecks: readonly ClientCheck[] = [
  refuses({
    name: 'attestation-forged',
    what: 'an attestation with a wrong signature',
    fault: { attestation: { isForged: true } },
    steps: attested,
    at: 'attest',
    also: asksForNoKey,
  }),
  refuses({
    name: 'attestation-of-another-key',
    what: 'an attestation of another X25519 key',
    fault: { attestation: { x25519PublicKey: systemRandom(32) } },
    steps: attested,
    at: 'attest',
    also: asksForNoKey,
  }),
  refuses({
    name: 'attestation-of-another-server',
    what: 'an attestation of another account',
    fault: { attestation: { server: systemRandom(32) } },
    steps: attested,
    at: 'attest',
    also: asksForNoKey,
  }),
  refuses({
    name: 'attestation-debug',
    what: 'the attestation of a debug TD',
    fault: { attestation: { isDebug: true } },
    steps: attested,
    at: 'attest',
    also: asksForNoKey,
  }),
  refuses({
    name: 'attestation-old',
    what: 'an attestation of an old block',
    fault: { attestation: { blocksBehind: 10_000 } },
    steps: attested,
    at: 'attest',
    also: asksForNoKey,
  }),
  refuses({
    name: 'attestation-stale-collateral',
    what: 'an attestation that only expired collateral proves',
    // Nothing is wrong with the attestation; its collateral has expired by then.
    fault: { attestation: {} },
    laterMs: AFTER_COLLATERAL_MS,
    steps: attested,
    at: 'attest',
    also: asksForNoKey,
  }),
];

/** Rules about answers that are none, refusals, and servers that must not be trusted. */
export const networkChecks: readonly ClientCheck[] = [...httpChecks, ...attestationChecks];
