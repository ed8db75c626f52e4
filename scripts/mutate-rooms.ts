/** Tests that should notice a change of a room; paths as `vitest run` filters them. */
export const testsOfRoom: Readonly<Record<string, readonly string[]>> = {
  boot: ['test/unit/boot', 'test/unit/node'],
  http: ['test/unit/http', 'test/unit/keyserver/limits'],
  keyserver: [
    'test/unit/keyserver',
    'test/regression',
    'test/property/key-request-mutations',
    'test/unit/node/drain',
    'test/unit/http/bad-input',
  ],
  keyslots: ['test/unit/keyslots', 'test/property/keyslots'],
  lineage: [
    'test/unit/lineage',
    'test/unit/protocol',
    'test/unit/keyserver',
    'test/unit/boot/account-hold',
    'test/unit/boot/take-hold',
    'test/unit/boot/rollback-check',
    'test/unit/boot/holding',
    'test/unit/boot/key-erasure',
  ],
  node: ['test/unit/node'],
  outbound: ['test/unit/outbound', 'test/unit/collateral'],
  protocol: [
    'test/unit/protocol',
    'test/vectors/protocol',
    'test/unit/keyserver',
    'test/unit/http/bad-input',
    'test/unit/boot/peer-client',
  ],
  tdx: ['test/unit/tdx', 'test/vectors', 'test/property/tdx'],
  trust: ['test/unit/trust', 'test/unit/keyserver/judge'],
};
