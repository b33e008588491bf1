import { call, type Ask, type Got } from '../api';

/** A device with what it inherits, as the list has it. */
export interface Device {
  name: string;
  address: string;
  site: string;
  role: string;
  platform: string;
  groups: string[];
  tags: string[];
  ping?: object;
  snmp?: object;
  ssh?: { port?: number; credentials?: string };
  flow?: object;
  syslog?: object;
  mqtt?: object;
}

export interface Section {
  enabled?: boolean;
  [key: string]: unknown;
}

/** A device as it is written; what the form does not know is kept. */
export interface Written {
  name: string;
  address?: string;
  addresses?: { ipv4?: string; ipv6?: string };
  groups?: string[];
  site?: string;
  role?: string;
  platform?: string;
  tags?: string[];
  ping?: Section | null;
  snmp?: Section | null;
  ssh?: Section | null;
  flow?: Section | null;
  syslog?: Section | null;
  [key: string]: unknown;
}

export interface Change {
  op: 'add' | 'replace' | 'remove';
  path: string;
  before?: unknown;
  after?: unknown;
}

/** What a change would do. */
export interface DryRun {
  changes: Change[];
  rewritten: string | null;
  /** Of a list: the state that was looked at, and what was left out of it. */
  if_match?: string;
  notes?: Array<{ line: number; field: string; detail: string }>;
}

export interface Version {
  version: string;
  time: string;
  author: string;
  message: string;
  entries: string[];
}

interface List {
  total: number;
  next?: string;
  devices: Device[];
}

/** Most devices of one look. */
export const MOST = 1000;

export async function list(search: string, site: string, signal?: AbortSignal): Promise<List> {
  const query = { name: search.trim(), site, limit: MOST };
  return (await call<List>('inventory', 'api/v1/devices', { query, signal })).data;
}

export async function sites(signal?: AbortSignal): Promise<string[]> {
  const got = await call<{ sites: Array<{ name: string }> }>('inventory', 'api/v1/sites', { signal });
  return got.data.sites.map((site) => site.name);
}

export async function groups(signal?: AbortSignal): Promise<string[]> {
  const got = await call<{ groups: Array<{ name: string }> }>('inventory', 'api/v1/groups', { signal });
  return got.data.groups.map((group) => group.name);
}

const one = (name: string) => `api/v1/devices/${encodeURIComponent(name)}`;

export function written(name: string, signal?: AbortSignal): Promise<Got<Written>> {
  return call<Written>('inventory', one(name), { query: { form: 'written' }, signal });
}

export async function history(name: string, signal?: AbortSignal): Promise<Version[]> {
  const query = { entry: `devices/${name}`, limit: 50 };
  return (await call<{ versions: Version[] }>('inventory', 'api/v1/versions', { query, signal })).data.versions;
}

/** What one version changed of a device, beside the version before it. */
export async function changed(name: string, version: Version, before: Version | undefined, signal?: AbortSignal) {
  if (!before) {
    return null;
  }
  const query = { from: before.version, to: version.version };
  const got = await call<{ changes: Change[] }>('inventory', 'api/v1/diff', { query, signal });
  return got.data.changes.filter((change) => of(change.path, name));
}

/** Whether a path such as `devices/r1/role` belongs to the device. */
function of(path: string, name: string): boolean {
  return path === `devices/${name}` || path.startsWith(`devices/${name}/`);
}

/** A change, as it is asked for: first whether it is right, then for good, under the same condition and key. */
export interface Intent {
  method: 'POST' | 'PATCH' | 'DELETE';
  path: string;
  body?: unknown;
  type?: string;
  ifMatch?: string;
  /** The body is text as it is. */
  raw?: boolean;
  query?: Record<string, string>;
}

export const adding = (entry: Written): Intent => ({ method: 'POST', path: 'api/v1/devices', body: entry });

export const changing = (name: string, patch: object, etag: string): Intent => ({
  method: 'PATCH',
  path: one(name),
  body: patch,
  type: 'application/merge-patch+json',
  ifMatch: etag,
});

export const deleting = (name: string, etag: string): Intent => ({ method: 'DELETE', path: one(name), ifMatch: etag });

export const restoring = (name: string, version: string): Intent => ({
  method: 'POST',
  path: 'api/v1/restore',
  body: { version, entry: `devices/${name}` },
});

export const FORMATS = ['csv', 'netbox', 'oxidized', 'ansible'] as const;
export type Format = (typeof FORMATS)[number];

/** Another system's list, of which nothing is taken when a line is wrong; `seen` is the state that its preview was of. */
export const importing = (format: Format, list: string, seen?: string): Intent => ({
  method: 'POST',
  path: 'api/v1/import',
  query: { format },
  body: list,
  raw: true,
  type: format === 'netbox' ? 'application/json' : 'text/plain',
  ifMatch: seen,
});

function ask({ path: _, ...intent }: Intent): Ask {
  return intent;
}

export async function tried(intent: Intent): Promise<DryRun> {
  return (await call<DryRun>('inventory', intent.path, { ...ask(intent), query: { ...intent.query, validate: 'true' } })).data;
}

export function done(intent: Intent, key: string): Promise<Got<unknown>> {
  return call('inventory', intent.path, { ...ask(intent), key });
}
