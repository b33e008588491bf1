import { call, type Service } from '../api';

/** Services that record what was done. */
export const RECORDING: Service[] = ['inventory', 'remediator', 'configuration', 'reporter'];

/** One record, as its line in the log has it. */
export interface Entry {
  seq: number;
  time: string;
  event: 'begun' | 'ended' | 'refused' | 'read' | 'resumed' | 'recovered';
  subject?: string;
  display?: string;
  via?: string;
  role?: string;
  verb?: string;
  object?: string;
  trace_id?: string | null;
  of?: number;
  outcome?: string;
  detail?: string;
  by?: string;
  reason?: string;
}

interface Page {
  records: Entry[];
  before: number | null;
}

/** Whether every record is what was written. */
export interface Verified {
  whole: boolean;
  records: number;
  head: { sequence: number; hash: string };
  findings: string[];
  lost: string[];
}

export async function page(service: Service, find: string, before: number | undefined, signal?: AbortSignal): Promise<Page> {
  return (await call<Page>(service, 'api/v1/audit', { query: { find: find.trim(), before, limit: 100 }, signal })).data;
}

export async function verified(service: Service, signal?: AbortSignal): Promise<Verified> {
  return (await call<Verified>(service, 'api/v1/audit/verify', { signal })).data;
}

/** What was begun and ended is one row, of its end. */
export function rows(entries: Entry[]): Entry[] {
  const ended = new Set(entries.flatMap((entry) => (entry.event === 'ended' ? (entry.of ?? []) : [])));
  return entries.filter((entry) => !(entry.event === 'begun' && ended.has(entry.seq)));
}
