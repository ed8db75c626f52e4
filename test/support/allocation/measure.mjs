// Runs in a process of its own, with the V8 flags under test: `node FLAGS measure.mjs FOLDER MODE`. FOLDER holds
// src/crypto and src/bytes as plain JavaScript. In the mode `allocation` the last line is a JSON object: by subject the
// bytes allocated for each secret in most rounds, and in how many of the rounds the secrets did not agree. In the mode `deoptimization` each subject meets zeros first and the other secrets between two
// lines that name it; the flag --trace-deopt then prints what happens between them.
import { writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import v8 from 'node:v8';

const folder = process.argv[2];
const load = (name) => import(pathToFileURL(`${folder}/${name}.js`).href);
const { splitSecret, combineShares } = await load('crypto/shamir');
const { hchacha20 } = await load('crypto/hchacha20');
const { XChaCha20Key } = await load('crypto/xchacha20-key');
const { xchacha20Poly1305Seal, xchacha20Poly1305Open } = await load('crypto/xchacha20-poly1305');
const { hexAscii, takeSecret } = await load('bytes/secret-hex');

// Few enough that a round stays within one page of 256 KiB: at the end of a page the engine adds a filler.
const CALLS = 2;
const ROUNDS = 100;
const WARM_UP_ROUNDS = 20;
const WARM_UP = 3000;

/** Deterministic bytes (xorshift), so that coordinates and coefficients are the same for each secret. */
function bytesFrom(seed, length) {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  });
}

// All made before anything is measured; a source of random bytes that allocates would drown what is measured.
const dice = bytesFrom(3, 510);
const pool = Array.from({ length: 8 }, (_, at) => bytesFrom(11 + at, 32));
const coefficients = Array.from({ length: 8 }, () => new Uint8Array(32));
let drawn = 0;
const random = (length) => {
  if (length !== 32) return dice;
  const at = drawn++ & 7;
  coefficients[at].set(pool[at]);
  return coefficients[at];
};

const nonce = bytesFrom(5, 24);
const message = bytesFrom(6, 100);
const subkey = new Uint8Array(32);
const into = new Uint8Array(140);
// The JSON of a secret, which is overwritten at each reading.
const text = Buffer.alloc('{"key":"0x"}'.length + 64);

// A property that held an object first: V8 stores numbers in it as it finds them, and boxes those beyond 32 bits signed.
const holder = { word: {} };

const subjects = {
  split: (secret) => {
    drawn = 0;
    splitSecret(secret, 3, 5, random);
  },
  combine: (_, { shares }) => combineShares(shares, 3),
  hchacha20: (secret) => hchacha20(secret, nonce.subarray(0, 16), subkey),
  xchacha20Seal: (_, { cipher }) => cipher.sealInto(into, 0, nonce, message, message),
  xchacha20Open: (_, { cipher, sealed }) => cipher.open(sealed, message),
  xchacha20First: (_, { cipher, sealed }) => cipher.decryptFirst(sealed, into, 64),
  xchacha20Functions: (secret, { ciphertext }) => {
    xchacha20Poly1305Seal(secret, nonce, message, message);
    if (xchacha20Poly1305Open(secret, nonce, message, ciphertext) === undefined)
      throw new Error('does not open');
  },
  hexWritten: (secret) => hexAscii(secret),
  hexRead: (_, { json }) => {
    text.set(json);
    if (takeSecret(text, 'key') === undefined) throw new Error('no secret');
  },
  /** The positive control: the same bytes as words of 32 bits, and a branch on them. */
  control: (_, { words }) => {
    for (let at = 0; at < words.length; at++) holder.word = words[at] === 0 ? 0 : words[at];
  },
  /** The same at every thirtieth call: a leak that comes and goes. */
  controlAtTimes: (_, { words }) => {
    if (++calls % 30 !== 0) return;
    for (let at = 0; at < words.length; at++) holder.word = words[at] === 0 ? 0 : words[at];
  },
};
let calls = 0;

function contextOf(secret) {
  drawn = 0;
  const [first, second, third] = splitSecret(secret, 3, 5, random);
  // A literal: the layout of an array that `slice` makes depends on how often it was called before.
  const shares = [first, second, third];
  const cipher = new XChaCha20Key(secret);
  const sealed = new Uint8Array(140);
  cipher.sealInto(sealed, 0, nonce, message, message);
  const ciphertext = xchacha20Poly1305Seal(secret, nonce, message, message);
  const json = Buffer.from(`{"key":"0x${Buffer.from(secret).toString('hex')}"}`);
  return { shares, cipher, sealed, ciphertext, json, words: new Uint32Array(new Uint8Array(secret).buffer) };
}

const newSpace = () =>
  v8.getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_used_size;

const secrets = { zeros: new Uint8Array(32), ones: new Uint8Array(32).fill(0xff), random: bytesFrom(9, 32) };
const kinds = Object.keys(secrets);
// Twice: the first arrays that V8 makes at a place have another layout than the later ones.
for (const secret of Object.values(secrets)) contextOf(secret);
const contexts = Object.fromEntries(
  Object.entries(secrets).map(([name, secret]) => [name, contextOf(secret)]),
);

/** Bytes that some calls allocate; `undefined` when a garbage collection came between. */
function allocated(subject, secret, context) {
  const before = newSpace();
  for (let call = 0; call < CALLS; call++) subject(secret, context);
  const after = newSpace();
  return after >= before ? after - before : undefined;
}

/** One round: the bytes for each secret, in another order each time. */
function round(subject) {
  globalThis.gc();
  // The first allocations after a collection include work of the engine.
  allocated(subject, secrets.zeros, contexts.zeros);
  kinds.push(kinds.shift());
  return Object.fromEntries(kinds.map((kind) => [kind, allocated(subject, secrets[kind], contexts[kind])]));
}

const mostFrequent = (values) =>
  values.toSorted(
    (a, b) => values.filter((one) => one === b).length - values.filter((one) => one === a).length,
  )[0];

/** Measures some rounds after a warm-up; all of them count. */
function measure(subject) {
  for (let done = 0; done < WARM_UP_ROUNDS; done++) round(subject);
  const rounds = Array.from({ length: ROUNDS }, () => round(subject));
  const bytes = Object.fromEntries(kinds.map((kind) => [kind, mostFrequent(rounds.map((one) => one[kind]))]));
  const differing = rounds.filter(
    ({ zeros, ones, random: other }) => zeros === undefined || zeros !== ones || zeros !== other,
  );
  return { bytes, rounds: ROUNDS, differing: differing.length };
}

const result = {};
for (const [name, subject] of Object.entries(subjects)) {
  // With zeros only, so that code that V8 has made faster for them has to show whether it bears other secrets.
  for (let call = 0; call < WARM_UP; call++) subject(secrets.zeros, contexts.zeros);
  if (process.argv[3] === 'allocation') {
    result[name] = measure(subject);
    continue;
  }
  writeSync(1, `begin ${name}\n`);
  for (let call = 0; call < WARM_UP; call++) {
    const kind = kinds[call % kinds.length];
    subject(secrets[kind], contexts[kind]);
  }
  writeSync(1, `end ${name}\n`);
}
writeSync(1, `${JSON.stringify(result)}\n`);
