import { render } from '@testing-library/react';
import axe from 'axe-core';
import type { ReactNode } from 'react';
import { MemoryRouter, Route, Routes } from 'react-router';
import { vi } from 'vitest';

/** Who looks: the actions that Grafana gave them, and their language. */
export const grafana = { actions: new Set<string>(), language: 'en-US' };

/** @grafana/runtime, as far as it needs a running Grafana. */
export function runtime(real: typeof import('@grafana/runtime')) {
  return {
    ...real,
    hasPermission: (action: string) => grafana.actions.has(action),
    config: {
      ...real.config,
      bootData: {
        user: {
          get language() {
            return grafana.language;
          },
        },
      },
    },
    PluginPage: ({ children, actions, renderTitle }: { children: ReactNode; actions?: ReactNode; renderTitle?: (title: string) => ReactNode }) => (
      <main>
        {renderTitle ? renderTitle('page') : <h1>page</h1>}
        {actions}
        {children}
      </main>
    ),
  };
}

/** One answer of a service, by method and the path behind the plugin's proxy. */
export type Answers = Record<string, { status?: number; body?: unknown; headers?: Record<string, string> }>;

/** Every request that was sent. */
export const sent: Array<{ call: string; headers: Headers; body: unknown }> = [];

/** Answers as the services would; what is not listed is an error of the test. */
export function services(answers: Answers) {
  stub(answers, /^$/, () => undefined);
}

/** JSON, or the text of a list. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The same; what `calls` match is answered by `more`. */
export function stub(answers: Answers, calls: RegExp, more: () => unknown) {
  sent.length = 0;
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const call = `${init.method} ${url.replace('/api/plugin-proxy/sotp-app/', '').replace('/api/datasources/proxy/uid/am/', 'alertmanager/')}`;
    sent.push({ call, headers: new Headers(init.headers), body: init.body ? parsed(String(init.body)) : undefined });
    const answer: Answers[string] | undefined = calls.test(call) ? { body: more() } : answers[call];
    if (!answer) {
      throw new Error(`the test has no answer for ${call}`);
    }
    const status: number = answer.status ?? 200;
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    return new Response(answer.body === undefined ? null : body, { status, headers: answer.headers });
  });
}

/** Shows a page at an address of the app. */
export function show(path: string, route: string, page: ReactNode) {
  return render(
    <MemoryRouter initialEntries={[`/a/sotp-app/${path}`]}>
      <Routes>
        <Route path={`/a/sotp-app/${route}`} element={page} />
        <Route path="*" element={<p>elsewhere</p>} />
      </Routes>
    </MemoryRouter>
  );
}

/** What axe finds wrong; colours are judged in a browser, which has them. */
export async function barriers(container: Element): Promise<string[]> {
  const { violations } = await axe.run(container, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
}
