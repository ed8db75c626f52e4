import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { equalBytes } from '../bytes/concat.ts';
import { AccountId, Nonce } from '../bytes/fixed-bytes.ts';
import { generateX25519KeyPair } from '../crypto/x25519.ts';
import { challengeAnswer, parseWire } from '../protocol/decode.ts';
import { requireRule } from './check.ts';
import type { PreparedRequest } from './foreign-server.ts';
import { keyChecks, macChecks } from './key-checks.ts';
import { changed, LATER_MS, requireProblem, type ServerCheck } from './server-steps.ts';

const challengeChecks: readonly ServerCheck[] = [
  {
    name: 'challenge-answer',
    run: async (subject) => {
      const answer = await subject.send('POST', '/challenge', subject.challengeBody(generateX25519KeyPair()));
      const { server, expiresAtMs } = parseWire(challengeAnswer, answer.json, 'challenge');
      requireRule(
        equalBytes(AccountId.parse(server, 'server'), subject.server),
        'the challenge names another server',
      );
      const leftMs = expiresAtMs - subject.options.nowMs();
      requireRule(leftMs > 0 && leftMs <= LATER_MS, `a challenge must expire soon, not in ${leftMs} ms`);
    },
  },
  {
    name: 'challenge-differs',
    run: async (subject) => {
      const [a, b] = [generateX25519KeyPair(), generateX25519KeyPair()];
      const nonces = [await subject.challenge(a), await subject.challenge(b)] as const;
      requireRule(!equalBytes(...nonces), 'two challenges for two keys are the same');
    },
  },
  {
    name: 'challenge-unknown-field',
    run: async (subject) => {
      const body = { ...subject.challengeBody(generateX25519KeyPair()), note: 1 };
      requireProblem(
        await subject.send('POST', '/challenge', body),
        400,
        ['FIELD_INVALID'],
        'an unknown field',
      );
    },
  },
  {
    name: 'challenge-small-order',
    run: async (subject) => {
      const body = {
        ...subject.challengeBody(generateX25519KeyPair()),
        ephemeralPublicKey: `0x${'00'.repeat(32)}`,
      };
      requireProblem(
        await subject.send('POST', '/challenge', body),
        400,
        ['HPKE_PUBLIC_KEY_INVALID'],
        'a key of small order',
      );
    },
  },
];

const bodyChecks: readonly ServerCheck[] = [
  {
    name: 'body-not-json',
    run: async (subject) =>
      requireProblem(
        await subject.send('POST', '/challenge', '{'),
        400,
        ['BODY_NOT_JSON'],
        'a body that is no JSON',
      ),
  },
  {
    name: 'body-media-type',
    run: async (subject) => {
      const body = JSON.stringify(subject.challengeBody(generateX25519KeyPair()));
      requireProblem(
        await subject.send('POST', '/challenge', body, 'text/plain'),
        415,
        ['UNSUPPORTED_MEDIA_TYPE'],
        'a text/plain body',
      );
    },
  },
  {
    name: 'body-too-large',
    run: async (subject) => {
      const body = { ...subject.challengeBody(generateX25519KeyPair()), note: 'x'.repeat(70_000) };
      requireProblem(
        await subject.send('POST', '/challenge', body),
        413,
        ['BODY_TOO_LARGE'],
        'a body above 65,536 bytes',
      );
    },
  },
  {
    name: 'request-unknown-field',
    run: async (subject) =>
      requireProblem(await changed(subject, () => ({ note: 1 })), 400, ['FIELD_INVALID'], 'an unknown field'),
  },
  {
    name: 'request-base64',
    run: async (subject) => {
      const answer = await changed(subject, ({ body }) => ({ quote: `${String(body['quote'])}\n` }));
      requireProblem(answer, 400, ['FIELD_INVALID'], 'base64 with a line break');
    },
  },
];

const handshakeChecks: readonly ServerCheck[] = [
  {
    name: 'report-data-intent',
    run: async (subject) => {
      const request = await subject.prepare({ intent: 'recover' });
      requireProblem(
        await subject.submit(request, { intent: 'get-or-create' }),
        401,
        ['REPORT_DATA_MISMATCH'],
        'another intent than the quoted one',
      );
    },
  },
  {
    name: 'challenge-invented',
    run: async (subject) => {
      const request = await subject.prepare({ nonce: Nonce.of(subject.options.random(32)) });
      requireProblem(
        await subject.submit(request),
        401,
        ['CHALLENGE_INVALID', 'CHALLENGE_EXPIRED'],
        'an invented challenge',
      );
    },
  },
  {
    name: 'challenge-of-another-key',
    run: async (subject) => {
      const nonce = await subject.challenge(generateX25519KeyPair());
      requireProblem(
        await subject.submit(await subject.prepare({ nonce })),
        401,
        ['CHALLENGE_INVALID'],
        'a challenge for another ephemeral key',
      );
    },
  },
  {
    name: 'not-addressed',
    run: async (subject) => {
      const addressed = AccountId.of(subject.options.random(32));
      requireProblem(
        await subject.submit(await subject.prepare({ addressed })),
        401,
        ['SERVER_NOT_ADDRESSED'],
        'a request to another server',
      );
    },
  },
  {
    name: 'quote-signature',
    run: async (subject) => {
      const answer = await changed(subject, ({ body }) => {
        const quote = parseBase64(String(body['quote']), 'quote');
        // In the user data of the header, which nothing but the signature covers.
        quote[30] = (quote[30] ?? 0) ^ 1;
        return { quote: toBase64(quote) };
      });
      requireProblem(answer, 422, [], 'a quote that was changed after it was signed');
    },
  },
  {
    name: 'quote-cut',
    run: async (subject) => {
      const cut = (request: PreparedRequest) => {
        const quote = parseBase64(String(request.body['quote']), 'quote');
        return { quote: toBase64(quote.subarray(0, -1)) };
      };
      requireProblem(await changed(subject, cut), 422, [], 'a quote that is cut off');
    },
  },
  {
    name: 'debug-td',
    run: async (subject) =>
      requireProblem(
        await subject.submit(await subject.prepare({ isDebug: true })),
        403,
        ['TD_DEBUG'],
        'a debug TD',
      ),
  },
];

/** All checks of a server. */
export const serverChecks: readonly ServerCheck[] = [
  ...challengeChecks,
  ...bodyChecks,
  ...handshakeChecks,
  ...keyChecks,
  ...macChecks,
];
