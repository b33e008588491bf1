import { call } from '../api';
import type { Intent } from '../devices/model';

/** Planned work: begins at `start`, ends before `end`; RFC 3339. */
export interface Window {
  start: string;
  end: string;
  reason?: string;
}

/** What a window belongs to: one device, or every member of a group. */
export interface Target {
  kind: 'devices' | 'groups';
  name: string;
}

/** One window, of what, and the how many-th there. */
export interface Planned extends Target, Window {
  at: number;
}

export type State = 'now' | 'planned' | 'over';

const WEEK = 7 * 24 * 3_600_000;
/** Most windows of a week apart that are planned at once: with what else is planned they stay below the 32 of an entry. */
export const MOST_WEEKS = 26;

interface Entry {
  name: string;
  maintenance?: Window[];
  defaults?: { maintenance?: Window[] };
}

interface Written {
  devices?: Entry[];
  groups?: Entry[];
}

export interface All {
  devices: string[];
  groups: string[];
  windows: Planned[];
}

const windowsOf = (entry: Entry) => entry.maintenance ?? entry.defaults?.maintenance ?? [];

/** Every window of the inventory as it is written, what is next or now first, what is over last. */
export async function all(signal?: AbortSignal): Promise<All> {
  const { data } = await call<Written>('inventory', 'api/v1/inventory', { signal });
  const of = (kind: Target['kind']) =>
    (data[kind] ?? []).flatMap((entry) => windowsOf(entry).map((window, at) => ({ ...window, kind, name: entry.name, at })));
  const now = Date.now();
  const over = (window: Window) => Number(state(window, now) === 'over');
  const windows = [...of('devices'), ...of('groups')].sort(
    (a, b) => over(a) - over(b) || Date.parse(a.start) - Date.parse(b.start) || a.name.localeCompare(b.name)
  );
  const names = (entries: Entry[] = []) => entries.map((entry) => entry.name);
  return { devices: names(data.devices), groups: names(data.groups), windows };
}

export function state({ start, end }: Window, now: number): State {
  return Date.parse(end) <= now ? 'over' : Date.parse(start) <= now ? 'now' : 'planned';
}

/** Without the fraction of a second, which nobody plans. */
const written = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;

/** Windows from `start` on, of so many minutes, once or a week apart. */
export function weekly(start: number, minutes: number, times: number, reason: string): Window[] {
  return Array.from({ length: times }, (_, week) => ({
    start: written(start + week * WEEK),
    end: written(start + week * WEEK + minutes * 60_000),
    reason,
  }));
}

const path = ({ kind, name }: Target) => `api/v1/${kind}/${encodeURIComponent(name)}`;

/** A change of the windows of an entry, made from what stands there at this moment. */
async function changing(target: Target, change: (windows: Window[]) => Window[]): Promise<Intent> {
  const got = await call<Entry>('inventory', path(target), { query: { form: 'written' } });
  const windows = change(windowsOf(got.data));
  const own = { maintenance: windows.length > 0 ? windows : null };
  return {
    method: 'PATCH',
    path: path(target),
    body: target.kind === 'groups' ? { defaults: own } : own,
    type: 'application/merge-patch+json',
    ifMatch: got.etag ?? '',
  };
}

export const planning = (target: Target, more: Window[]) => changing(target, (windows) => [...windows, ...more]);

const same = (a: Window, b: Window) => a.start === b.start && a.end === b.end && a.reason === b.reason;

/** The window goes: what was planned is not done, or what is over is not listed any more. */
export const removing = (one: Planned) => changing(one, (windows) => windows.filter((window) => !same(window, one)));

/** What goes on ends now. */
export const ending = (one: Planned, now: number) =>
  changing(one, (windows) => windows.map((window) => (same(window, one) ? { ...window, end: written(now) } : window)));
