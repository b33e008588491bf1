import { config } from '@grafana/runtime';

const hex = (bytes: number) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Nanoseconds since 1970 as OTLP has them in JSON, from milliseconds: more digits than a number holds. */
const nanoseconds = (milliseconds: number) => `${Math.round(milliseconds * 1000)}000`;

const now = () => performance.timeOrigin + performance.now();

/**
 * What a person set off: the root span of the trace that goes on through Grafana and the service to the device. It is posted where the
 * browser posts its web vitals, to sotp-rum, which hands it to the trace store; without one the trace begins at Grafana.
 */
export class Click {
  readonly trace = hex(16);
  private readonly span = hex(8);
  private readonly begun = now();

  constructor(
    private readonly method: string,
    private readonly what: string
  ) {}

  /** The header that makes the called one's spans part of this one (W3C trace context, sampled). */
  get traceparent() {
    return `00-${this.trace}-${this.span}-01`;
  }

  /** Posts the span; `status` 0: no answer came. That it cannot be posted is nobody's business. */
  ended(status: number) {
    const { enabled, customEndpoint } = config.grafanaJavascriptAgent ?? {};
    if (!enabled || !customEndpoint) {
      return;
    }
    const span = {
      traceId: this.trace,
      spanId: this.span,
      name: `${this.method} ${this.what}`,
      kind: 3,
      startTimeUnixNano: nanoseconds(this.begun),
      endTimeUnixNano: nanoseconds(now()),
      attributes: [
        { key: 'http.request.method', value: { stringValue: this.method } },
        { key: 'http.response.status_code', value: { intValue: status } },
      ],
      status: { code: status >= 200 && status < 400 ? 1 : 2 },
    };
    const payload = {
      meta: { app: { name: 'sotp-app' }, page: { url: location.href } },
      traces: { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] },
    };
    // It outlives the page, which a click may leave.
    const post = { method: 'POST', keepalive: true, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(payload) };
    fetch(customEndpoint, post).catch(() => undefined);
  }
}
