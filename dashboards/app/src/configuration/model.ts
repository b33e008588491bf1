import { call } from '../api';

export interface Collected {
  device: string;
  site: string;
  platform: string;
  /** Why it is not collected, where it is not. */
  obstacle: string | null;
  last_success: string | null;
  last_change: string | null;
  failure: string | null;
}

export interface Version {
  version: string;
  time: string;
  user: string;
  trigger: string;
  added: number | null;
  removed: number | null;
  summary: string;
}

export async function collected(signal?: AbortSignal): Promise<Collected[]> {
  return (await call<{ devices: Collected[] }>('configuration', 'api/v1/devices', { signal })).data.devices;
}

const of = (device: string) => `api/v1/devices/${encodeURIComponent(device)}`;

export async function versions(device: string, signal?: AbortSignal): Promise<Version[]> {
  const got = await call<{ versions: Version[] }>('configuration', `${of(device)}/versions`, { query: { limit: 100 }, signal });
  return got.data.versions;
}

export async function unified(device: string, from: string, to: string, signal?: AbortSignal): Promise<string> {
  return (await call<string>('configuration', `${of(device)}/diff`, { query: { from, to, format: 'unified' }, text: true, signal })).data;
}
