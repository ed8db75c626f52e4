import { describe, expect, it } from 'vitest';
import { accountText, fleetLines, reasonLines } from '../../../src/cli/commands/status.ts';

describe('the lines of latchkey status', () => {
  it('name the account of a locked node by its keyslot file, and do not claim that it is proved', () => {
    expect(accountText({ accountId: '5A', keyslotAccount: '5B' })).toBe('5A');
    expect(accountText({ keyslotAccount: '5B' })).toBe('5B (by the keyslot file)');
    expect(accountText({})).toBe('account not known while the store is closed');
  });

  it('say why a node is not ready or not used, also without --explain', () => {
    expect(reasonLines({ cause: 'keys-missing' })).toEqual(['  cause: keys-missing']);
    expect(reasonLines({ ownRecord: 'absent' })[0]).toContain('no record of this account');
    expect(reasonLines({ ownRecord: 'inactive' })[0]).toContain('inactive');
    expect(reasonLines({ ownRecord: 'active', ring: { standing: 'serving' } })).toEqual([]);
    expect(reasonLines({ ring: { standing: 'no-member' } })).toEqual([]);
    expect(reasonLines({ storeFault: { code: 'STORE_DISK_FULL' } })[0]).toContain('STORE_DISK_FULL');
    expect(reasonLines({ storeCheckpointIgnored: true })[0]).toContain('no record is affected');
    expect(reasonLines({ ring: { standing: 'joining' } })).toEqual([
      '  not ready while its part in the ring is: joining',
    ]);
  });

  it('show the fleet manifest, with what of it begins or ends', () => {
    expect(fleetLines({})).toEqual([]);
    expect(fleetLines({ fleet: { authority: '0x01' } })).toEqual(['  fleet manifest: none yet']);
    const waiting = [{ entry: 'trust-hash 0x02', at: '2026-12-02T00:00:00.000Z' }];
    const ending = [{ entry: 'measurement 0x03', at: '2026-12-11T00:00:00.000Z' }];
    const manifest = { serial: 2, hash: '0x04' };
    const fleet = { authority: '0x01', manifest, waiting, ending, notListed: 3, serversBehind: 1 };
    expect(fleetLines({ fleet })).toEqual([
      '  fleet manifest: serial 2',
      '    takes effect at 2026-12-02T00:00:00.000Z: trust-hash 0x02',
      '    ENDS at 2026-12-11T00:00:00.000Z: measurement 0x03',
      '    and 3 more that begin or end',
      '    servers that show an older one: 1',
    ]);
    const handover = { to: '0x05', hash: '0x06', takesEffect: 'never' };
    const trouble = { awaited: { serial: 4 }, conflict: { serial: 3 }, handover };
    expect(fleetLines({ fleet: { authority: '0x01', ...trouble } })).toEqual([
      '  fleet manifest: none yet',
      '    serial 4 is signed, and no source gives it',
      '    two manifests of serial 3 are signed',
      '    handover to 0x05: never',
    ]);
  });
});
