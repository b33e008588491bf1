import { call, newKey, type Service } from '../api';
import { RECORDING } from '../audit/model';

/** A service as it answers, and who it takes the person for. */
export interface Answering {
  service: Service;
  version: string;
  /** How the service knows the person; none where it does not ask. */
  caller?: { display: string; subject: string; role: string; via: string };
  /** Why it does not answer. */
  error?: unknown;
}

interface WhoAmI {
  service: string;
  version: string;
  display: string;
  subject: string;
  role: string;
  via: string;
}

async function one(service: Service, signal?: AbortSignal): Promise<Answering> {
  try {
    if (service === 'alertmanager') {
      const { data } = await call<{ versionInfo: { version: string } }>(service, 'api/v2/status', { signal });
      return { service, version: data.versionInfo.version };
    }
    const { data } = await call<WhoAmI>(service, 'api/v1/whoami', { signal });
    return { service, version: data.version, caller: data };
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    return { service, version: '', error };
  }
}

/** Every service that the app speaks to, asked at once. */
export function answering(signal?: AbortSignal): Promise<Answering[]> {
  return Promise.all([...RECORDING, 'alertmanager' as const].map((service) => one(service, signal)));
}

export async function receivers(signal?: AbortSignal): Promise<string[]> {
  const got = await call<Array<{ name: string }>>('alertmanager', 'api/v2/receivers', { signal });
  return got.data.map(({ name }) => name).sort();
}

/** The name of alerts that only try whether a message arrives. */
const NAME = 'TestNotification';
/** How long such an alert lasts, in milliseconds; its end is told too where that is wanted. */
const LASTS = 60_000;

/** Sends an alert for one receiver alone; those that Alertmanager gives it to. */
export async function test(receiver: string, by: string, text: { summary: string; description: string }): Promise<string[]> {
  const now = Date.now();
  // One of its own each time, so that it is not taken for a repetition.
  const id = newKey().slice(0, 8);
  const alert = {
    labels: { alertname: NAME, receiver, severity: 'warning', test: id },
    annotations: { ...text, by },
    startsAt: new Date(now).toISOString(),
    endsAt: new Date(now + LASTS).toISOString(),
  };
  await call('alertmanager', 'api/v2/alerts', { method: 'POST', body: [alert] });
  const query = { filter: `test="${id}"` };
  const got = await call<Array<{ receivers: Array<{ name: string }> }>>('alertmanager', 'api/v2/alerts', { query });
  return got.data.flatMap((one) => one.receivers.map(({ name }) => name));
}
