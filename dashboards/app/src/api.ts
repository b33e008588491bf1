import { config } from '@grafana/runtime';

import { Click } from './click';

/** Our services, by the first step of their plugin routes. */
export type Service = 'inventory' | 'remediator' | 'configuration' | 'reporter' | 'alertmanager';

/** What is wrong with one field, as a service names it; `line` of a list, from 1. */
export interface FieldError {
  field: string;
  detail: string;
  line?: number;
}

/** What came back: the body, and the tag that a change of it must name. */
export interface Got<T> {
  data: T;
  etag: string | null;
  status: number;
}

export interface Ask {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  type?: string;
  ifMatch?: string;
  /** Of one intention: the same again is done once. */
  key?: string;
  signal?: AbortSignal;
  /** The answer is text, not JSON. */
  text?: boolean;
  /** The body is text as it is, not JSON. */
  raw?: boolean;
}

/** A call that was not answered with success. `status` 0: no answer came at all. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly fields: FieldError[] = [],
    readonly traceId: string | null = null,
    readonly retryAfter: number | null = null,
    readonly kind: string = ''
  ) {
    super(detail || String(status));
  }
}

/** A name for one intention; `randomUUID` is missing where Grafana is served without TLS. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Where a path of a service is reached through Grafana. Alertmanager is asked through its data source: the routes of an app have no
 * certificate to show, which it may want to see.
 */
export const proxied = (service: Service, path: string) => {
  const way = service === 'alertmanager' ? 'datasources/proxy/uid/am' : `plugin-proxy/sotp-app/${service}`;
  return `${config.appSubUrl ?? ''}/api/${way}/${path}`;
};

/**
 * Asks a service through Grafana, once. Grafana's own client would send a POST again after a 401 and hides the header
 * fields of errors, so the browser's is used; the session of Grafana goes with it because it is the same origin.
 */
export async function call<T>(service: Service, path: string, ask: Ask = {}): Promise<Got<T>> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(ask.query ?? {})) {
    if (value !== undefined && value !== '') {
      query.set(name, String(value));
    }
  }
  const headers: Record<string, string> = { Accept: ask.text ? 'text/plain' : 'application/json' };
  if (ask.body !== undefined) {
    headers['Content-Type'] = ask.type ?? 'application/json';
  }
  if (ask.ifMatch) {
    headers['If-Match'] = ask.ifMatch;
  }
  if (ask.key) {
    headers['Idempotency-Key'] = ask.key;
  }
  // What changes something begins a trace, which goes on to the device; what only reads would fill the trace store.
  const method = ask.method ?? 'GET';
  const click = method === 'GET' ? null : new Click(method, `${service}/${path}`);
  if (click) {
    headers.traceparent = click.traceparent;
  }
  const asked = query.size > 0 ? `?${query}` : '';
  let answer: Response;
  try {
    answer = await fetch(`${proxied(service, path)}${asked}`, {
      method,
      headers,
      body: ask.body === undefined ? undefined : ask.raw ? String(ask.body) : JSON.stringify(ask.body),
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
      signal: ask.signal,
    });
  } catch (error) {
    click?.ended(0);
    if (ask.signal?.aborted) {
      throw error;
    }
    throw new Refused(0, '', [], click?.trace);
  }
  const text = await answer.text();
  click?.ended(answer.status);
  const body = parsed(text);
  if (!answer.ok) {
    throw refused(answer, body, click?.trace ?? null);
  }
  return { data: (ask.text ? text : body) as T, etag: answer.headers.get('etag'), status: answer.status };
}

function parsed(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

function refused(answer: Response, body: unknown, trace: string | null): Refused {
  const said = (body ?? {}) as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const fields = Array.isArray(said.errors)
    ? said.errors.map((error) => ({ field: text(error?.field), detail: text(error?.detail), line: Number(error?.line) || undefined }))
    : [];
  const seconds = Number(answer.headers.get('retry-after') ?? said.retry_after);
  return new Refused(
    answer.status,
    // A problem of RFC 9457 has `detail`; what Grafana itself refuses has `message`.
    text(said.detail) || text(said.message),
    fields,
    answer.headers.get('grafana-trace-id') ?? trace,
    Number.isFinite(seconds) && seconds > 0 ? seconds : null,
    text(said.type)
  );
}
