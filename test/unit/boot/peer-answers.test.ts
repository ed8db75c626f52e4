import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { PeerClient } from '../../../src/boot/peer/peer-client.ts';
import { PeerExchange } from '../../../src/boot/peer/peer-exchange.ts';
import { failureOf } from '../../../src/boot/peer/peer-failure.ts';
import {
  fetchTransport,
  type PeerAnswer,
  type PeerTransport,
} from '../../../src/boot/peer/peer-transport.ts';
import { AccountId, Mac, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../../../src/bytes/hex.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import { sr25519PublicKey } from '../../../src/crypto/sr25519.ts';
import { responseMac } from '../../../src/protocol/mac.ts';
import { signNotEnrolled } from '../../../src/protocol/not-enrolled.ts';
import {
  type Forgotten,
  forgottenBytes,
  forgottenToWire,
  type ServerState,
  serverStateBytes,
  serverStateToWire,
} from '../../../src/protocol/slot-messages.ts';
import type { Clock } from '../../../src/time/clock.ts';
import { processAt, serverAt, slotIdAt } from '../../support/checked-slots.ts';
import { firstIncarnation, stateOf } from '../../support/lineages.ts';

const { signal } = new AbortController();
const never = () => new Promise<never>(() => undefined);
const clock: Clock = { nowMs: () => 1_000_000, sleep: never };
const MAX_ANSWER_BYTES = 64 * 1024;
const peer = {
  account: serverAt(1),
  endpoint: 'a.example:1',
  x25519PublicKey: X25519PublicKey.of(new Uint8Array(32).fill(9)),
};
/** What an operation fails with, as kind, code where there is one, and detail. */
const failure = async (operation: Promise<unknown>) =>
  failureOf(
    await operation.then(
      () => expect.fail('no failure'),
      (error: unknown) => error,
    ),
  );

describe('the transport over HTTP', () => {
  /** Asks a server that answers with this response. */
  function ask(respond: () => Response | Promise<Response>, body?: unknown) {
    const sent: { url: string; init: RequestInit }[] = [];
    const transport = fetchTransport((async (url: string, init: RequestInit) => {
      sent.push({ url, init });
      return await respond();
    }) as typeof fetch);
    return { sent, answer: transport.send(peer.endpoint, '/path', body, signal) };
  }

  it('asks without a body by GET, with one by POST, and follows no redirect: it would name another server', async () => {
    const get = ask(() => Response.json({ a: 1 }, { status: 201 }));
    expect(await get.answer).toEqual({ status: 201, body: { a: 1 } });
    expect(get.sent).toEqual([{ url: 'http://a.example:1/path', init: { signal, redirect: 'error' } }]);
    const post = ask(() => Response.json({}), { b: 2 });
    await post.answer;
    expect(post.sent[0]?.init).toMatchObject({ method: 'POST', redirect: 'error', body: '{"b":2}' });
  });

  it('says in the head of a request whether the answer is needed to open a store', async () => {
    const headOf = async (body: unknown) => {
      const { sent, answer } = ask(() => Response.json({}), body);
      await answer;
      return sent[0]?.init.headers;
    };
    const plain = { 'content-type': 'application/json' };
    expect(await headOf({ intent: 'recover' })).toEqual({ ...plain, priority: 'u=0' });
    for (const body of [{ intent: 'create' }, { other: 'recover' }, {}, null, 'recover'])
      expect(await headOf(body)).toEqual(plain);
  });

  it('reads 64 KiB and no more', async () => {
    const text = (length: number) => `"${'x'.repeat(length - 2)}"`;
    const whole = await ask(() => new Response(text(MAX_ANSWER_BYTES))).answer;
    expect(whole.body).toHaveLength(MAX_ANSWER_BYTES - 2);
    const { answer } = ask(() => new Response(text(MAX_ANSWER_BYTES + 1)));
    expect(await failure(answer)).toEqual({ kind: 'garbage', detail: 'answer is too large' });
  });

  it('says what is no JSON, and what is no text', async () => {
    for (const body of ['<html>', '', Uint8Array.of(0x22, 0xff, 0x22)]) {
      const { answer } = ask(() => new Response(body, { status: 502 }));
      expect(await failure(answer)).toMatchObject({
        kind: 'garbage',
        detail: expect.stringContaining('status 502'),
      });
    }
  });

  it('says why a server was not reached: the code of the deepest cause, or its text', async () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    const reasons: readonly (readonly [unknown, string])[] = [
      [new TypeError('fetch failed', { cause: new Error('between', { cause: refused }) }), 'ECONNREFUSED'],
      [new TypeError('fetch failed', { cause: new Error('deep') }), 'deep'],
      [Object.assign(new Error('a number'), { code: 7 }), 'a number'],
      [new TypeError('fetch failed', { cause: 'a text' }), 'a text'],
      [new TypeError('fetch failed', { cause: null }), 'null'],
    ];
    for (const [error, detail] of reasons) {
      const { answer } = ask(() => Promise.reject(error));
      expect(await failure(answer)).toEqual({ kind: 'unreachable', detail });
    }
  });

  it('says so when an answer breaks off', async () => {
    const body = new ReadableStream({
      pull: (controller) => controller.error(new Error('reset')),
    });
    expect(await failure(ask(() => new Response(body)).answer)).toEqual({
      kind: 'unreachable',
      detail: 'reset',
    });
  });
});

describe('one exchange with a peer', () => {
  const exchange = (send: PeerTransport['send'], sleep: Clock['sleep'] = never) =>
    new PeerExchange({ transport: { send }, clock: { ...clock, sleep }, deadlineMs: 8_000 });
  const answered = (answer: PeerAnswer) => exchange(async () => answer).send(peer, '/path', {}, signal);

  it('gives the body of status 200 alone', async () => {
    expect(await answered({ status: 200, body: 'yes' })).toBe('yes');
    for (const status of [201, 204, 302]) {
      expect(await failure(answered({ status, body: 'yes' }))).toMatchObject({ code: `HTTP_${status}` });
    }
  });

  it('takes code and detail of a problem, bounded, and nothing that is no text', async () => {
    const refusal = (body: unknown) => failure(answered({ status: 403, body }));
    expect(await refusal({ code: 'NO', detail: 'why' })).toEqual({
      kind: 'refused',
      code: 'NO',
      detail: 'why',
    });
    const none = { kind: 'refused', code: 'HTTP_403', detail: '' };
    for (const body of [null, 'text', 7, undefined, {}, { code: 1, detail: 2 }, []])
      expect(await refusal(body)).toEqual(none);
    expect(await refusal({ code: 'C'.repeat(65), detail: 'd'.repeat(501) })).toEqual({
      kind: 'refused',
      code: 'C'.repeat(64),
      detail: 'd'.repeat(500),
    });
  });

  it('knows the two codes that say that the server has no such key', async () => {
    for (const code of ['KEY_UNKNOWN', 'LINEAGE_UNKNOWN'])
      expect(await failure(answered({ status: 404, body: { code } }))).toMatchObject({ kind: 'forgot' });
  });

  it('waits no longer than its deadline', async () => {
    const late = exchange(never, async (milliseconds) => expect(milliseconds).toBe(8_000));
    expect(await failure(late.send(peer, '/path', {}, signal))).toEqual({
      kind: 'unreachable',
      detail: 'no answer within 8000 ms',
    });
  });
});

const keyOf = (byte: number) => new SecretBytes(new Uint8Array(32).fill(byte));
const state: ServerState = {
  instanceId: processAt(100),
  serverTimeMs: 1_000_000,
  draining: false,
  lineage: stateOf({ slots: [slotIdAt(1)] }),
  extensions: new Map([['test', Uint8Array.of(1)]]),
};

/** A client, and a server that answers to the MAC of a request. */
function maced(answer: (request: Mac, path: string) => PeerAnswer) {
  const times: number[] = [];
  const heard: unknown[] = [];
  const observed: unknown[] = [];
  const client = new PeerClient({
    transport: {
      send: async (_endpoint, path, body) => {
        const { mac, timestampMs } = z.object({ mac: z.string(), timestampMs: z.number() }).parse(body);
        times.push(timestampMs);
        return answer(Mac.parse(mac, 'mac'), path);
      },
    },
    clock,
    random: (length) => new Uint8Array(length),
  });
  client.hearExtensions((_peer, extensions) => void heard.push(extensions));
  const observer = { observe: (shown: unknown) => void observed.push(shown) };
  const slot = { account: serverAt(7), slotId: slotIdAt(1), key: keyOf(3), observer };
  const ask = () => client.claim(peer, slot, firstIncarnation, signal);
  const forget = () => client.forget(peer, slot, firstIncarnation, signal);
  return { ask, forget, times, heard, observed };
}

const stateAnswer = (request: Mac, byte: number, told = state): PeerAnswer => {
  const mac = responseMac(keyOf(byte), 'claim', request, serverStateBytes(told));
  return { status: 200, body: serverStateToWire(told, mac) };
};

describe('an answer under the key of a slot', () => {
  it('is shown to the hold of the account and to listeners once its MAC is proved', async () => {
    const { ask, observed, heard } = maced((request) => stateAnswer(request, 3));
    expect(await ask()).toEqual(state);
    expect([observed, heard]).toEqual([[state.lineage], [state.extensions]]);
  });

  it('is not believed, and shown to nobody, when its MAC is of another key: the network wrote it', async () => {
    const { ask, observed, heard } = maced((request) => stateAnswer(request, 4));
    expect(await failure(ask())).toMatchObject({ kind: 'impostor' });
    expect([observed, heard]).toEqual([[], []]);
  });

  it('that a key is erased is not believed either', async () => {
    const forgotten: Forgotten = { ...state, erased: true };
    const answer = (byte: number) =>
      maced((request) => {
        const mac = responseMac(keyOf(byte), 'forget', request, forgottenBytes(forgotten));
        return { status: 200, body: forgottenToWire(forgotten, mac) };
      });
    const honest = answer(3);
    expect(await honest.forget()).toEqual(forgotten);
    expect(honest.observed).toEqual([state.lineage]);
    const forged = answer(4);
    expect(await failure(forged.forget())).toMatchObject({ kind: 'impostor' });
    expect(forged.observed).toEqual([]);
  });

  it('tells the time of the server, which its next request has until the server refuses that time', async () => {
    const answers = ['state', 'other', 'stale', 'state'];
    const serverTimeMs = clock.nowMs() + 200_000;
    const { ask, times } = maced((request) => {
      const kind = answers.shift();
      if (kind === 'state') return stateAnswer(request, 3, { ...state, serverTimeMs });
      return { status: 401, body: { code: kind === 'stale' ? 'TIMESTAMP_STALE' : 'OTHER', detail: '' } };
    });
    await ask();
    expect(await failure(ask())).toMatchObject({ code: 'OTHER' });
    expect(await failure(ask())).toMatchObject({ code: 'TIMESTAMP_STALE' });
    await ask();
    expect(times).toEqual([clock.nowMs(), serverTimeMs, serverTimeMs, clock.nowMs()]);
  });
});

describe('the answer to news', () => {
  const seed = new SecretBytes(new Uint8Array(32).fill(5));
  const client = { ...peer, account: AccountId.of(sr25519PublicKey(seed.reveal())) };
  const self = serverAt(8);
  const tell = (body: unknown) => {
    const transport = { send: async () => ({ status: 200, body }) };
    const teller = new PeerClient({ transport, clock, random: (length) => new Uint8Array(length) });
    return teller.tellRestart(client, self, processAt(1), signal);
  };
  const signature = (instance: number) =>
    toPrefixedHex(
      signNotEnrolled(seed, { server: self, instanceId: processAt(instance), client: client.account }),
    );

  it('says that a client has moved by its own signature alone', async () => {
    expect(await tell({ enrolled: false, signature: signature(1) })).toBe('moved');
    expect(await tell({ enrolled: false, signature: signature(2) })).toBe('told');
    expect(await tell({ enrolled: false })).toBe('told');
    expect(await tell({ enrolled: true, signature: signature(1) })).toBe('told');
    expect(await tell({ enrolled: true })).toBe('told');
  });
});
