import { describe, expect, it } from 'vitest';
import { Grant } from '../../../src/keyserver/grant.ts';
import { BoundRequest } from '../../../src/keyserver/handshake.ts';
import { JudgedRequest, JudgedReturn } from '../../../src/keyserver/judge.ts';
import { SealedKey } from '../../../src/keyserver/seal.ts';
import { VerifiedRequest } from '../../../src/keyserver/verify.ts';

const bytes = new Uint8Array(32);

/** What a caller without types, or with a cast, would try. */
const makers = {
  BoundRequest: (key: never) => new BoundRequest(key, {} as never),
  VerifiedRequest: (key: never) => new VerifiedRequest(key, {} as never, {} as never),
  JudgedRequest: (key: never) => new JudgedRequest(key, {} as never, {} as never, {} as never),
  JudgedReturn: (key: never) => new JudgedReturn(key, {} as never, {} as never, {} as never),
  Grant: (key: never) => new Grant(key, { request: {} } as never, {} as never),
  SealedKey: (key: never) => new SealedKey(key, {} as never, { enc: bytes, ciphertext: bytes }),
};

describe.each(Object.entries(makers))('%s', (name, make) => {
  it('can be constructed by its own module only', () => {
    for (const key of [Symbol(name), undefined, name]) {
      expect(() => make(key as never)).toThrow(
        expect.objectContaining({ name: 'TypeError', message: expect.stringMatching(/ only$/) }),
      );
    }
  });
});
