import { describe, expect, it } from 'vitest';
import { fleetLines } from '../../mock-tdx/tamper-kit.ts';
import { parsePrefixedHex } from '../../src/bytes/hex.ts';
import { fleetCodes } from '../../src/errors/codes/fleet.ts';
import { FleetKeeper } from '../../src/fleet/fleet-keeper.ts';
import { readManifestFile } from '../../src/fleet/manifest-file.ts';
import { parseTrustSection } from '../../src/trust/trust-section.ts';
import { codeOf } from '../support/thrown.ts';

const lines = [...fleetLines()];
const NOW_MS = Date.UTC(2026, 10, 22);
const time = { nowMs: NOW_MS, chainMs: NOW_MS };

function keeperOf({ genesisHash, authority: named }: (typeof lines)[number]): FleetKeeper {
  const { authority } = parseTrustSection({ chain: { genesisHash }, authority: named });
  if (authority === undefined) throw new TypeError('the section has an authority');
  return new FleetKeeper(authority, parsePrefixedHex(genesisHash, 32, 'genesisHash'));
}

/** What is wrong with the content, and not with the header that a server shows. */
const ofContent = ['FLEET_BODY_MISMATCH', 'FLEET_BODY_MALFORMED', 'FLEET_FILE_MALFORMED'];

describe('the fleet manifests of the tamper kit', () => {
  it('have no defect in a header that is taken when a server shows the header alone', () => {
    const headers = lines.filter(({ code }) => code !== undefined && !ofContent.includes(code));
    expect(headers.length).toBeGreaterThan(12);
    for (const line of headers) {
      const keeper = keeperOf(line);
      const files = line.manifests.map(readManifestFile);
      for (const file of files.slice(0, -1)) keeper.take(file, time);
      keeper.settle(time);
      const before = keeper.state;
      const last = files.at(-1)?.signed ?? new Uint8Array(0);
      expect(
        codeOf(() => keeper.note(last, time)),
        line.id,
      ).toBe(line.code);
      expect(keeper.state, line.id).toBe(before);
    }
  });

  it('have at least 30 defects, no name twice, and no two with the same content', () => {
    expect(lines.filter(({ code }) => code !== undefined).length).toBeGreaterThanOrEqual(30);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
    expect(new Set(lines.map(({ manifests }) => manifests.join())).size).toBe(lines.length);
  });

  it('show every code by which a manifest itself is refused', () => {
    // The rest are about the age of a new node, and what a person at the command line got wrong.
    const elsewhere = ['FLEET_OFF', 'FLEET_AGE_REFUSED', 'FLEET_FILE_MALFORMED', 'FLEET_DRAFT_REFUSED'];
    const shown = new Set(lines.map(({ code }) => code));
    expect(Object.keys(fleetCodes).filter((code) => !shown.has(code) && !elsewhere.includes(code))).toEqual(
      [],
    );
  });

  it.each(lines.map((line) => [line.id, line.about, line] as const))('%s: %s', (_id, _about, line) => {
    const keeper = keeperOf(line);
    const codes = line.manifests.map((text) => codeOf(() => keeper.take(readManifestFile(text), time)));
    expect(codes).toEqual([...codes.slice(1).map(() => 'none'), line.code ?? 'none']);
    expect(keeper.files().length > 0).toBe(line.code === undefined || codes.length > 1);
  });
});
