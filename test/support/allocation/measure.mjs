// Runs in a process of its own, with the V8 flags under test: `node FLAGS measure.mjs FOLDER MODE`. FOLDER holds
// src/crypto as plain JavaScript. In the mode `allocation` the last line is a JSON object with the bytes allocated by
// subject and secret. In the mode `deoptimization` each subject meets zeros first and the other secrets between two
// lines that name it; the flag --trace-deopt then prints what happens between them.
import { writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import v8 from 'node:v8';

const folder = process.argv[2];
const load = (name) => import(pathToFileURL(`${folder}/${name}.js`).href);
const { splitSecret, combineShares } = await load('shamir');
const { hchacha20 } = await load('hchacha20');
const { XChaCha20Key } = await load('xchacha20-key');
const { xchacha20Poly1305Seal, xchacha20Poly1305Open } = await load('xchacha20-poly1305');

// Few enough that a round stays within one page of 256 KiB: at the end of a page the engine adds a filler.
const CALLS = 2;
const MAX_ROUNDS = 200;
const AGREEING_ROUNDS = 5;
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
  /** The positive control: the same bytes as words of 32 bits, and a branch on them. */
  control: (_, { words }) => {
    for (let at = 0; at < words.length; at++) holder.word = words[at] === 0 ? 0 : words[at];
  },
};

function contextOf(secret) {
  drawn = 0;
  const [first, second, third] = splitSecret(secret, 3, 5, random);
  // A literal: the layout of an array that `slice` makes depends on how often it was called before.
  const shares = [first, second, third];
  const cipher = new XChaCha20Key(secret);
  const sealed = new Uint8Array(140);
  cipher.sealInto(sealed, 0, nonce, message, message);
  const ciphertext = xchacha20Poly1305Seal(secret, nonce, message, message);
  return { shares, cipher, sealed, ciphertext, words: new Uint32Array(new Uint8Array(secret).buffer) };
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

/**
 * Measures until the secrets agree in several rounds one after another: until V8 has optimized the code, it does so
 * between two readings now and then. Where the secrets never agree, the result is the last round.
 */
function measure(subject) {
  let last = {};
  for (let round = 0, agreeing = 0; round < MAX_ROUNDS && agreeing < AGREEING_ROUNDS; round++) {
    globalThis.gc();
    // The first allocations after a collection include work of the engine.
    allocated(subject, secrets.zeros, contexts.zeros);
    kinds.push(kinds.shift());
    last = Object.fromEntries(kinds.map((kind) => [kind, allocated(subject, secrets[kind], contexts[kind])]));
    const agree = last.zeros !== undefined && last.zeros === last.ones && last.zeros === last.random;
    agreeing = agree ? agreeing + 1 : 0;
  }
  return last;
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
