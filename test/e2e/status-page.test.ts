import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createDevelopmentPki } from '../../mock-tdx/development-pki.ts';
import { type TamperLine, tamperLines } from '../../mock-tdx/tamper-kit.ts';
import type { Listener } from '../../src/http/listener.ts';
import type { PageData, ShownFleet } from '../../src/http/page-data.ts';
import { ChromiumPage, chromiumProgram } from '../support/chromium.ts';
import {
  backedPage,
  calmFleet,
  degradedPage,
  hostileFleet,
  hostilePage,
  troubledFleet,
} from '../support/page-samples.ts';
import { servePage } from '../support/page-server.ts';
import { tempFolder } from '../support/temp-folder.ts';

const axe = readFileSync(
  fileURLToPath(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url)),
  'utf8',
);
const violations = z.array(z.object({ id: z.string(), nodes: z.array(z.string()) }));

/** Another website on this machine. */
async function servePlain(html: string): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end(html),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The page in Debian's Chromium: `apt-get install chromium`. */
describe.skipIf(chromiumProgram === undefined)('the status page in Chromium', { timeout: 240_000 }, () => {
  let page: ChromiumPage;
  let listener: Listener;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let data: PageData = backedPage;
  let fleet: ShownFleet = calmFleet;
  /** How often the fleet was asked for. */
  let fleetViews = 0;

  beforeAll(async () => {
    folder = await tempFolder();
    listener = await servePage(
      () => data,
      () => {
        fleetViews++;
        return fleet;
      },
    );
    page = await ChromiumPage.start(chromiumProgram ?? '');
  }, 240_000);
  afterAll(async () => {
    await page?.[Symbol.asyncDispose]();
    await listener?.close(0);
    await folder?.[Symbol.asyncDispose]();
  }, 60_000);

  async function open(shown: PageData, view: Parameters<ChromiumPage['open']>[1], hash = ''): Promise<void> {
    data = shown;
    await page.open(`${listener.url}/${hash}`, view);
    await page.until('document.querySelector("#summary")');
  }

  async function openFleet(shown: ShownFleet, view: Parameters<ChromiumPage['open']>[1]): Promise<void> {
    fleet = shown;
    await open(backedPage, view, '#fleet');
    await page.until('document.querySelector("#fleet-view h2")');
    if (shown.askedAt !== undefined) await page.until('document.querySelector("#fleet-view table")');
  }

  const desk = { width: 1280, scheme: 'light' } as const;
  const text = (selector: string) =>
    page.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent`);

  /** What axe-core finds. It is evaluated by the debugger, which the policy of the page does not stop. */
  async function axeViolations() {
    await page.evaluate(`${axe}; undefined`);
    const found = await page.evaluate(
      `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
        violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => html.slice(0, 200) + failureSummary) })))`,
    );
    return violations.parse(found);
  }

  /** Whether something is wider than the window. */
  const sideways = () =>
    page.evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');

  for (const width of [390, 1280]) {
    for (const scheme of ['light', 'dark'] as const) {
      it(`has no violation of accessibility and nothing beside the window: ${width} px, ${scheme}`, async () => {
        for (const shown of [backedPage, degradedPage, hostilePage]) {
          await open(shown, { width, scheme });
          expect(await axeViolations()).toEqual([]);
          expect(await sideways()).toBe(false);
        }
        await open(backedPage, { width, scheme }, '#quote');
        expect(await axeViolations()).toEqual([]);
        expect(await sideways()).toBe(false);
        for (const shown of [calmFleet, troubledFleet, hostileFleet]) {
          await openFleet(shown, { width, scheme });
          expect(await axeViolations()).toEqual([]);
          expect(await sideways()).toBe(false);
        }
      });
    }
  }

  it('axe-core finds a violation where there is one', async () => {
    await open(backedPage, desk);
    await page.evaluate('document.querySelector("svg.ring").removeAttribute("aria-label")');
    expect((await axeViolations()).map(({ id }) => id)).toContain('svg-img-alt');
  });

  it('shows state, advice, servers, clients at risk and refusals', async () => {
    await open(degradedPage, desk);
    const body = String(await text('body'));
    const { status, serving, refusals } = degradedPage;
    for (const said of [status.summary, ...status.advice]) expect(body).toContain(said);
    for (const { server, standing } of status.slots ?? []) {
      expect(body).toContain(server);
      expect(body).toContain(standing);
    }
    for (const { account } of serving?.clients ?? []) expect(body).toContain(account);
    for (const { code, detail } of refusals) {
      expect(body).toContain(code);
      expect(body).toContain(detail);
    }
    expect(await page.evaluate('document.querySelectorAll("svg.ring .client.bad").length')).toBe(1);
    expect(await page.evaluate('document.title')).toBe('not ready: degraded – Latchkey node');
  });

  it('follows the node, and says so when it does not answer any more', async () => {
    await open(backedPage, desk);
    data = degradedPage;
    await page.until(`document.querySelector('#summary').textContent.startsWith('degraded')`);
    expect(await text('#connection')).toBe('live');
    const other = await servePage(() => backedPage);
    await page.open(`${other.url}/`, desk);
    await page.until('document.querySelector("#summary")');
    await other.close(0);
    await page.until(`document.querySelector('#connection').textContent.startsWith('no answer')`);
    // What is shown stays, and is said to be old.
    expect(await text('#summary')).toBe(backedPage.status.summary);
  });

  it('texts of peers stay texts: no markup, no code, no endless line', async () => {
    await open(hostilePage, { width: 390, scheme: 'light' });
    expect(await page.evaluate('globalThis.hit')).toBeUndefined();
    expect(
      await page.evaluate(
        'document.querySelectorAll("main img, main script, main a[href^=javascript]").length',
      ),
    ).toBe(0);
    const body = String(await text('#node-view'));
    expect(body).toContain('<img src=x onerror');
    expect(body).toContain('(10000 characters)');
    expect(body).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(body.length).toBeLessThan(20_000);
  });

  it('the policy of the page stops markup even where a program would make some', async () => {
    await open(backedPage, desk);
    await expect(page.evaluate('document.querySelector("main").innerHTML = "<b>x</b>"')).rejects.toThrow(
      'TrustedHTML',
    );
  });

  it('loads nothing from elsewhere, and the console has no errors', async () => {
    const before = page.problems.length;
    const from = page.requests.length;
    await open(backedPage, desk);
    const hosts = page.requests
      .slice(from)
      .map((url) => (url.startsWith('about:') ? url : new URL(url).origin));
    expect(
      [...new Set(hosts)].filter((origin) => origin !== listener.url && origin !== 'about:blank'),
    ).toEqual([]);
    // A look that was under way while the page was left is ended.
    const problems = page.problems.slice(before).filter((problem) => !problem.includes('net::ERR_ABORTED'));
    expect(problems).toEqual([]);
  });

  it('is used by keyboard: skip link, views, file input, tables; a reader is told where it is', async () => {
    await open(degradedPage, { width: 390, scheme: 'dark' });
    const focused = () => page.evaluate('document.activeElement.id || document.activeElement.textContent');
    const seen: unknown[] = [];
    for (let presses = 0; presses < 4; presses++) {
      await page.press('Tab');
      seen.push(await focused());
    }
    expect(seen).toEqual(['Skip to content', 'to-node', 'to-fleet', 'to-quote']);
    await page.press('Enter');
    await page.until(
      '!document.querySelector("#quote-view").hidden && document.querySelector("#node-view").hidden',
    );
    expect(await page.evaluate('document.querySelector("#to-quote").getAttribute("aria-current")')).toBe(
      'page',
    );
    await page.press('Tab');
    expect(await focused()).toBe('quote-files');
    const headings = await page.evaluate(
      '[...document.querySelectorAll("h1,h2,h3")].map(({ tagName }) => tagName).join()',
    );
    expect(headings).toMatch(/^H1,H2,H3/);
  });

  describe('the fleet', () => {
    it('shows which nodes may be restarted, in which order, and why not', async () => {
      await openFleet(troubledFleet, desk);
      const body = String(await text('#fleet-view'));
      for (const { target, account, summary, reasons } of troubledFleet.nodes)
        for (const said of [target, account ?? '', summary, ...reasons]) expect(body).toContain(said);
      expect(body).toContain('and 3 more reasons');
      expect(body).toContain(`${troubledFleet.nodes[2]?.account} and 3 more`);
      expect(body).toContain('At risk if it stops now: 2 stores');
      expect(body).toContain('1 of 4 nodes gave no answer');
      const order =
        '[...document.querySelectorAll("#fleet-order li")].map(({ textContent }) => textContent.split(" ")[0]).join()';
      expect(await page.evaluate(order)).toBe('http://alpha.example:3001');
      await openFleet(calmFleet, desk);
      expect(await page.evaluate(order)).toBe('http://bravo.example:3001,this,http://alpha.example:3001');
      expect(String(await text('#fleet-view'))).not.toContain('gave no answer');
    });

    it('says so while nothing is known, and why', async () => {
      await openFleet({ isAsking: true, nodes: [], order: [] }, desk);
      expect(await text('#fleet-order')).toContain('are being asked');
      fleet = {
        isAsking: false,
        nodes: [],
        order: [],
        problem: 'the servers of the chain are not known now',
      };
      await page.until('document.querySelector("#fleet-order").textContent.includes("not known now")');
      fleet = { ...calmFleet, order: [] };
      await page.until('document.querySelector("#fleet-order").textContent.includes("No node may be")');
    });

    it('says nothing of restarts any more when this node does not answer', async () => {
      const other = await servePage(
        () => backedPage,
        () => calmFleet,
      );
      await page.open(`${other.url}/#fleet`, desk);
      await page.until('document.querySelectorAll("#fleet-order li").length === 3');
      await other.close(0);
      await page.until('document.querySelector("#fleet-order").textContent.startsWith("Not known")');
      expect(
        await page.evaluate('document.querySelectorAll("#fleet-view table, #fleet-order li").length'),
      ).toBe(0);
    });

    it('is asked for only while it is looked at', async () => {
      await open(backedPage, desk);
      const from = page.requests.length;
      const asks = (name: string) => page.requests.slice(from).filter((url) => url.endsWith(name)).length;
      data = degradedPage;
      await page.until('document.querySelector("#summary").textContent.startsWith("degraded")');
      expect(asks('/data.json')).toBeGreaterThan(0);
      expect(asks('/fleet.json')).toBe(0);
      await page.evaluate('location.hash = "#fleet"');
      await page.until(
        '!document.querySelector("#fleet-view").hidden && document.querySelector("#fleet-view h2")',
      );
      expect(asks('/fleet.json')).toBeGreaterThan(0);
    });

    it('texts of other nodes stay texts', async () => {
      await openFleet(hostileFleet, { width: 390, scheme: 'dark' });
      expect(await page.evaluate('globalThis.hit')).toBeUndefined();
      expect(
        await page.evaluate('document.querySelectorAll("main img, main script, #fleet-view a").length'),
      ).toBe(0);
      const body = String(await text('#fleet-view'));
      expect(body).toContain('<img src=x onerror');
      expect(body).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(body.length).toBeLessThan(20_000);
    });

    it('a table that has the focus keeps it when new answers come', async () => {
      await openFleet(calmFleet, desk);
      await page.evaluate('document.querySelector("#fleet-view .table").focus()');
      fleet = { ...troubledFleet, order: [] };
      await page.until('document.querySelector("#fleet-order").textContent.includes("No node may be")');
      expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).toBe(
        'Nodes of the fleet',
      );
    });

    it('another website cannot make the node ask others', async () => {
      const before = fleetViews;
      await using elsewhere = await servePlain('<!doctype html><title>elsewhere</title>');
      await page.open(elsewhere.url, desk);
      const answered = `fetch(${JSON.stringify(`${listener.url}/fleet.json`)}, { mode: 'no-cors' }).then(() => 'read', () => 'not read')`;
      expect(await page.evaluate(answered)).toBe('not read');
      expect(fleetViews).toBe(before);
    });
  });

  describe('the quote inspector', () => {
    const at = (name: string): string => join(folder.path, name);
    const nowMs = Date.now();
    const marks = () =>
      page.evaluate(
        '[...document.querySelectorAll("#quote-result .facts li")].map((item) => item.dataset.mark).join()',
      );

    beforeAll(() => {
      const pki = createDevelopmentPki({ seed: new Uint8Array(32).fill(4) });
      const lines = [...tamperLines(pki, nowMs)];
      const good = lines.find(
        ({ expected, policy }) => policy === undefined && expected.ok && expected.tcbStatus === 'UpToDate',
      );
      const bad = lines.find(({ expected }) => !expected.ok && expected.code === 'QUOTE_SIGNATURE_INVALID');
      if (good === undefined || bad === undefined) throw new TypeError('the tamper kit has no such lines');
      mkdirSync(folder.path, { recursive: true });
      const write = (name: string, line: TamperLine) => {
        writeFileSync(at(`${name}.bin`), Buffer.from(line.quote, 'base64'));
        writeFileSync(at(`${name}.txt`), line.quote);
        writeFileSync(at(`${name}.json`), JSON.stringify(line.collateral));
      };
      write('good', good);
      write('bad', bad);
      writeFileSync(at('root.pem'), pki.rootPem);
      writeFileSync(at('picture.bin'), Buffer.from('<img src=x onerror="globalThis.hit=1">'));
    });

    it('shows every field and every check of a good quote, and uploads nothing', async () => {
      await open(backedPage, desk, '#quote');
      const from = page.requests.length;
      await page.chooseFiles('#quote-files', [at('good.bin'), at('good.json'), at('root.pem')]);
      await page.until('document.querySelector("#quote-verdict")');
      expect(await text('#quote-verdict')).toBe('accepted');
      expect(String(await marks())).toMatch(/^holds(,holds)+$/);
      const body = String(await text('#quote-result'));
      for (const field of ['mrTd', 'rtMr0', 'reportData', 'ppid', 'fmspc', 'qeVendorId'])
        expect(body).toContain(field);
      expect(String(await text('#quote-messages'))).toContain('INSECURE');
      expect(await axeViolations()).toEqual([]);
      const sent = page.requests.slice(from).filter((url) => !url.endsWith('/data.json'));
      expect(sent).toEqual([]);
    });

    it('under Intel’s root the same quote is refused, with the check that fails', async () => {
      await open(backedPage, desk, '#quote');
      await page.chooseFiles('#quote-files', [at('good.txt'), at('good.json')]);
      await page.until('document.querySelector("#quote-verdict")');
      expect(await text('#quote-verdict')).toBe('refused');
      expect(String(await marks())).toContain('fails');
    });

    it('a tampered quote fails where it was tampered with', async () => {
      await open(backedPage, desk, '#quote');
      await page.chooseFiles('#quote-files', [at('bad.bin'), at('bad.json'), at('root.pem')]);
      await page.until('document.querySelector("#quote-verdict")');
      expect(await text('#quote-verdict')).toBe('refused');
      expect(String(await text('#quote-result .facts li[data-mark=fails]'))).toContain(
        'QUOTE_SIGNATURE_INVALID',
      );
    });

    it('without collateral it says what is not checked; what is no quote is named as such', async () => {
      await open(backedPage, { width: 390, scheme: 'dark' }, '#quote');
      await page.chooseFiles('#quote-files', [at('picture.bin')]);
      await page.until('document.querySelector("#quote-messages p")');
      expect(await text('#quote-messages')).toContain('QUOTE_');
      await page.chooseFiles('#quote-files', [at('good.bin'), at('root.pem')]);
      await page.until('document.querySelector("#quote-verdict")');
      expect(await text('#quote-verdict')).toBe('not everything is checked');
      expect(await sideways()).toBe(false);
      expect(await axeViolations()).toEqual([]);
    });
  });
});
