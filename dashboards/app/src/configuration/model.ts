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

/** One half of a row: a line with its sign, or nothing. */
export interface Side {
  sign: '' | '+' | '-';
  text: string;
}

const EMPTY: Side = { sign: '', text: '' };

/** The lines of a unified diff as rows: what was replaced stands beside what replaced it. */
export function sides(lines: string[]): Array<[Side, Side]> {
  const rows: Array<[Side, Side]> = [];
  let removed: Side[] = [];
  let added: Side[] = [];
  const flush = () => {
    for (let at = 0; at < Math.max(removed.length, added.length); at++) {
      rows.push([removed[at] ?? EMPTY, added[at] ?? EMPTY]);
    }
    [removed, added] = [[], []];
  };
  for (const line of lines) {
    const text = line.slice(1);
    if (line.startsWith('-')) {
      removed.push({ sign: '-', text });
    } else if (line.startsWith('+')) {
      added.push({ sign: '+', text });
    } else {
      flush();
      const both: Side = { sign: '', text: line.startsWith('@@') ? line : text };
      rows.push([both, both]);
    }
  }
  flush();
  return rows;
}

/** How a device stands to a rule. */
export interface Verdict {
  rule: string;
  title: string;
  severity: string;
  why: string;
  fix?: string;
  /** Empty when it holds. */
  breaches: Array<{ line?: number; place: string[]; message: string }>;
  /** The change that brought it, Unix seconds. */
  introduced?: { at: number; by?: string; or_before: boolean };
  waiver?: { owner: string; until: string };
}

export async function rules(device: string, signal?: AbortSignal): Promise<Verdict[]> {
  return (await call<{ rules: Verdict[] }>('configuration', `${of(device)}/rules`, { signal })).data.rules;
}

/** What changed in the whole fleet within five minutes of a time. */
export async function around(at: string, signal?: AbortSignal): Promise<Array<Version & { device: string }>> {
  const query = { at, minutes: 5 };
  const got = await call<{ changes: Array<Version & { device: string }> }>('configuration', 'api/v1/history', { query, signal });
  return got.data.changes;
}

export interface Match {
  device: string;
  line: number;
  section: string[];
  text: string;
}

export async function search(pattern: string, signal?: AbortSignal): Promise<{ matches: Match[]; more: boolean }> {
  return (await call<{ matches: Match[]; more: boolean }>('configuration', 'api/v1/search', { query: { pattern }, signal })).data;
}
