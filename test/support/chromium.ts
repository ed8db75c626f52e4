import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { tempFolder } from './temp-folder.ts';

/** Debian's package of the same name; `undefined` where it is not installed. */
export const chromiumProgram: string | undefined = ['chromium', 'chromium-browser'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

const START_MS = 120_000;
const WAIT_MS = 60_000;

const message = z.object({
  id: z.number().optional(),
  method: z.string().optional(),
  params: z.record(z.string(), z.unknown()).optional(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.object({ message: z.string() }).optional(),
});
const evaluated = z.object({
  result: z.object({ value: z.unknown().optional() }),
  exceptionDetails: z
    .object({ text: z.string(), exception: z.object({ description: z.string().optional() }).optional() })
    .optional(),
});

/** A page in a headless Chromium, by the DevTools protocol. */
export class ChromiumPage implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #folder: Awaited<ReturnType<typeof tempFolder>>;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: z.output<typeof message>) => void>();
  #session: string | undefined;
  #lastId = 0;
  /** Errors and warnings of the console, and requests that failed. */
  readonly problems: string[] = [];
  /** URLs of all requests that the page made. */
  readonly requests: string[] = [];

  private constructor(
    process: ChildProcess,
    folder: Awaited<ReturnType<typeof tempFolder>>,
    socket: WebSocket,
  ) {
    this.#process = process;
    this.#folder = folder;
    this.#socket = socket;
    socket.on('message', (data) => this.#take(message.parse(JSON.parse(String(data)))));
  }

  /** Starts Chromium with an empty profile and an empty page. */
  static async start(program: string): Promise<ChromiumPage> {
    const folder = await tempFolder();
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
    const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
    const debug = ['--remote-debugging-port=0', `--user-data-dir=${folder.path}`, '--hide-scrollbars'];
    const child = spawn(program, [...flags, ...quiet, ...debug, 'about:blank'], { stdio: 'ignore' });
    const portFile = join(folder.path, 'DevToolsActivePort');
    const [port, path] = await eventually(START_MS, () =>
      existsSync(portFile)
        ? (/^(\d+)\n(\S+)/.exec(readFileSync(portFile, 'utf8'))?.slice(1) ?? undefined)
        : undefined,
    );
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { maxPayload: 256 * 1024 * 1024 });
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const page = new ChromiumPage(child, folder, socket);
    const { targetId } = await page.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await page.send('Target.attachToTarget', { targetId, flatten: true });
    page.#session = String(sessionId);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'DOM']) await page.send(`${domain}.enable`);
    return page;
  }

  /** Sends a command of the DevTools protocol. */
  async send(method: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    const id = ++this.#lastId;
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    const answer = new Promise<z.output<typeof message>>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    const { result, error } = await answer;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  /** Goes to a URL, with this width and colour scheme. */
  async open(
    url: string,
    { width, scheme }: { readonly width: number; readonly scheme: 'dark' | 'light' },
  ): Promise<void> {
    await this.view(width, 900);
    await this.send('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: scheme }],
    });
    await this.send('Page.navigate', { url: 'about:blank' });
    await this.send('Page.navigate', { url });
    await this.until('document.readyState === "complete"');
  }

  /** Sets the size of the window, in CSS pixels. */
  async view(width: number, height: number): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
  }

  /** The value of an expression; a promise is awaited. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    const { result, exceptionDetails } = evaluated.parse(answer);
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until an expression is true. */
  async until(expression: string): Promise<void> {
    await eventually(WAIT_MS, async () =>
      (await this.evaluate(`Boolean(${expression})`)) ? true : undefined,
    ).catch((error) => {
      throw new Error(`${expression} did not become true: ${this.problems.join('; ')}`, { cause: error });
    });
  }

  /** Chooses files in a file input. */
  async chooseFiles(selector: string, files: readonly string[]): Promise<void> {
    const { root } = z
      .object({ root: z.object({ nodeId: z.number() }) })
      .parse(await this.send('DOM.getDocument'));
    const { nodeId } = await this.send('DOM.querySelector', { nodeId: root.nodeId, selector });
    await this.send('DOM.setFileInputFiles', { nodeId, files });
  }

  /** Presses and lets go of a key. */
  async press(key: 'Tab' | 'Enter'): Promise<void> {
    const code = { Tab: 9, Enter: 13 }[key];
    const text = key === 'Enter' ? { text: '\r' } : {};
    const event = { key, code: key, windowsVirtualKeyCode: code, ...text };
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /** A picture of the whole page as PNG. */
  async screenshot(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', {
      format: 'png',
      captureBeyondViewport: true,
    });
    return Buffer.from(String(data), 'base64');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    this.#process.kill('SIGKILL');
    await ended;
    // Children of Chromium may write for a moment after it.
    for (let tries = 0; tries < 20; tries++) {
      const isGone = await this.#folder[Symbol.asyncDispose]().then(
        () => true,
        () => false,
      );
      if (isGone) return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  #take({ id, method, params, ...rest }: z.output<typeof message>): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.({ id, ...rest });
      this.#waiting.delete(id);
    }
    const text = JSON.stringify(params);
    if (
      method === 'Runtime.exceptionThrown' ||
      method === 'Log.entryAdded' ||
      method === 'Network.loadingFailed'
    )
      this.problems.push(text);
    if (method === 'Network.requestWillBeSent')
      this.requests.push(z.object({ request: z.object({ url: z.string() }) }).parse(params).request.url);
  }
}

async function eventually<Value>(
  withinMs: number,
  look: () => Value | undefined | Promise<Value | undefined>,
): Promise<Value> {
  const endMs = Date.now() + withinMs;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > endMs) throw new Error(`nothing came within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
