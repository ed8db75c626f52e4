import { readFileSync } from 'node:fs';
import { agentOpenApi } from '../src/agent/agent-openapi.ts';
import type { CodeEntry } from '../src/errors/codes/code-entry.ts';
import { errorCodes } from '../src/errors/codes.ts';
import { openApiDocument } from '../src/http/openapi.ts';
import { actionOn } from './error-actions.ts';
import { fleetVectors } from './fleet-vectors.ts';
import { grafanaDashboard } from './grafana-dashboard.ts';
import { kitVectors } from './kit-vectors.ts';
import { protocolVectors } from './protocol-vectors.ts';
import { headlineTable, resultsPage } from './results-page.ts';

const root = new URL('..', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** Every committed file that is generated, wholly or between markers, with the text that it should have. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['openapi.json', `${JSON.stringify(openApiDocument({ entropy: false }), null, 2)}\n`],
    ['openapi-entropy.json', `${JSON.stringify(openApiDocument({ entropy: true }), null, 2)}\n`],
    ['openapi-agent.json', `${JSON.stringify(agentOpenApi(), null, 2)}\n`],
    ['docs/errors.md', between(read('docs/errors.md'), 'codes', errorTable())],
    ['docs/protocol.md', between(read('docs/protocol.md'), 'vectors', jsonBlock(protocolVectors()))],
    ['docs/fleet.md', between(read('docs/fleet.md'), 'vectors', jsonBlock(fleetVectors()))],
    ['README.md', between(read('README.md'), 'numbers', headlineTable())],
    ['bench/RESULTS.md', resultsPage()],
    ['kit/grafana/latchkey.json', `${JSON.stringify(grafanaDashboard(), null, 2)}\n`],
    ...[...kitVectors()].map(
      ([name, content]) => [`kit/vectors/${name}`, `${JSON.stringify(content, null, 2)}\n`] as const,
    ),
  ]);
}

const jsonBlock = (value: unknown): string => `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;

/** All codes by family of status, in the order in which the rooms list them. */
function errorTable(): string {
  const entries: readonly (readonly [string, CodeEntry])[] = Object.entries(errorCodes);
  const rows = entries.map(
    ([code, { status, summary }]) => `| \`${code}\` | ${status} | ${summary} | ${actionOn(code)} |`,
  );
  return ['| code | status | meaning | what to do |', '|---|---|---|---|', ...rows].join('\n');
}

function between(page: string, marker: string, text: string): string {
  const begin = `<!-- ${marker}:begin -->`;
  const end = `<!-- ${marker}:end -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from < 0 || to < from) throw new TypeError(`the page has no markers ${marker}:begin and ${marker}:end`);
  return `${page.slice(0, from + begin.length)}\n${text}\n${page.slice(to)}`;
}
