import { expect, it } from 'vitest';
import type { AccountId } from '../../../src/bytes/fixed-bytes.ts';
import { X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import type { ServerRecord } from '../../../src/chain/chain-view.ts';
import { findingsOf } from '../../../src/cli/shared/doctor-findings.ts';
import { ownRecordOf } from '../../../src/node/own-record.ts';
import { askAgent } from '../../support/ask-agent.ts';
import { loneNode } from '../../support/lone-node.ts';
import { SimulatedNetwork } from '../../support/simulated-network.ts';

const recordOf = (account: AccountId, active: boolean): ServerRecord => ({
  account,
  stash: account,
  x25519PublicKey: X25519PublicKey.of(new Uint8Array(32).fill(5)),
  endpoint: 'a:1',
  quote: new Uint8Array(0),
  active,
  signer: false,
});

it('V12 status, /readyz and doctor say when the chain shows a node as inactive, or no more', async () => {
  const net = new SimulatedNetwork(881);
  await using lone = await loneNode(net.world);
  await lone.node.start();
  for (let waited = 0; lone.node.open === undefined && waited < 60_000; waited += 250)
    await net.world.clock.advance(250);
  const account = lone.node.open?.identity.account;
  if (account === undefined) throw new Error('the node did not open');
  const socketPath = lone.node.addresses.agent.slice('unix:'.length);

  const told = async () => {
    const status = (await askAgent(socketPath, 'GET', '/status'))?.json ?? {};
    const readyz = await (await fetch(`${lone.node.addresses.listen}/readyz`)).json();
    expect(readyz).toMatchObject({ ownRecord: status['ownRecord'] });
    const found = await findingsOf(
      { ...net.world.config, agent: { socketPath, transit: false } },
      lone.parts,
      [],
    );
    const warnings = found.filter(({ check }) => check === 'chain-record').map(({ text }) => text);
    // The same sentences everywhere.
    for (const text of warnings) {
      expect(status['advice']).toContain(text);
      expect(readyz).toMatchObject({ advice: expect.arrayContaining([text]) });
    }
    return [status['ownRecord'], warnings.length];
  };

  net.world.chain.set({ servers: [recordOf(account, true)] });
  expect(await told()).toEqual(['active', 0]);
  net.world.chain.set({ servers: [recordOf(account, false)] });
  expect(await told()).toEqual(['inactive', 1]);
  net.world.chain.set({ servers: [] });
  expect(await told()).toEqual(['absent', 1]);
  await net.close();
}, 60_000);

it('V12 nothing is said of a record while the chain is silent', () => {
  expect(ownRecordOf('unknown')).toBeUndefined();
});
