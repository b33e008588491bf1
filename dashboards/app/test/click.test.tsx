import { beforeEach, expect, test, vi } from 'vitest';

const agent = vi.hoisted(() => ({ enabled: true, customEndpoint: '/rum/collect' }));
vi.mock('@grafana/runtime', () => ({ config: { appSubUrl: '', grafanaJavascriptAgent: agent } }));
// Test files share their modules: another one may have loaded it with its own runtime.
vi.resetModules();
const { call } = await import('../src/api');

interface Sent {
  url: string;
  method: string;
  traceparent: string | null;
  body: any;
}

let sent: Sent[];

/** What is posted to sotp-rum fails: nobody may notice. */
function answers(answer: () => Response) {
  sent = [];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const body = init.body ? JSON.parse(String(init.body)) : undefined;
    sent.push({ url, method: String(init.method), traceparent: new Headers(init.headers).get('traceparent'), body });
    if (url === '/rum/collect') {
      throw new TypeError('refused');
    }
    return answer();
  });
}

beforeEach(() => {
  agent.enabled = true;
  agent.customEndpoint = '/rum/collect';
});

const run = () => call('remediator', 'api/v1/commands', { method: 'POST', body: {} });
const posted = () => sent.filter(({ url }) => url === '/rum/collect').map(({ body }) => body);

test('what a click sets off begins at the browser: its span is the root that the request names as its parent', async () => {
  answers(() => new Response('{}', { status: 202 }));
  const before = Date.now();
  await run();
  const [, trace, span, flags] = sent[0]!.traceparent!.split('-');
  expect(flags).toBe('01');
  expect(posted()).toHaveLength(1);
  const [{ meta, traces }] = posted();
  expect(meta.app.name).toBe('sotp-app');
  expect(meta.page.url).toBe(location.href);
  const [root, ...others] = traces.resourceSpans[0].scopeSpans[0].spans;
  expect(others).toEqual([]);
  expect(root).toMatchObject({ traceId: trace, spanId: span, name: 'POST remediator/api/v1/commands', status: { code: 1 } });
  expect(root).not.toHaveProperty('parentSpanId');
  expect(trace).toMatch(/^[0-9a-f]{32}$/);
  expect(span).toMatch(/^[0-9a-f]{16}$/);
  const [from, to] = [Number(root.startTimeUnixNano) / 1e6, Number(root.endTimeUnixNano) / 1e6];
  expect(from).toBeGreaterThanOrEqual(before - 1000);
  expect(to).toBeGreaterThanOrEqual(from);
  await run();
  expect(sent[2]!.traceparent).not.toContain(trace!);
});

test('a refused click and one without an answer are spans too, failed ones', async () => {
  answers(() => new Response('{"detail":"no"}', { status: 403 }));
  await expect(run()).rejects.toThrow('no');
  answers(() => {
    throw new TypeError('gone');
  });
  await expect(run()).rejects.toMatchObject({ status: 0, traceId: sent[0]!.traceparent!.split('-')[1] });
  expect(posted()[0].traces.resourceSpans[0].scopeSpans[0].spans[0].status).toEqual({ code: 2 });
});

test('what only reads is no trace, and without sotp-rum nothing is posted', async () => {
  answers(() => new Response('{}'));
  await call('remediator', 'api/v1/commands');
  expect(sent).toMatchObject([{ method: 'GET', traceparent: null }]);
  agent.enabled = false;
  await run();
  agent.enabled = true;
  agent.customEndpoint = '';
  await run();
  expect(posted()).toEqual([]);
});
