import { call, newKey } from '../api';

export interface ReportFile {
  name: string;
  bytes: number;
}

/** The report of a month, with its mail. */
export interface Report {
  month: string;
  devices: number;
  incidents: number;
  availability_ratio: number | null;
  target_ratio: number;
  missing: Array<{ what: string; why: string }>;
  files: ReportFile[];
  mail: { state: string; sent: string | null; error: string | null; to: string[] } | null;
}

/** A report that somebody asked for. */
export interface Job {
  id: string;
  month: string;
  state: 'running' | 'done' | 'failed';
  outcome: string;
}

export async function reports(signal?: AbortSignal): Promise<Report[]> {
  return (await call<{ reports: Report[] }>('reporter', 'api/v1/reports', { signal })).data.reports;
}

export interface Order {
  month: string;
  send: boolean;
  /** Also when a part was not answered. */
  incomplete: boolean;
}

/** Has a report made; the id of the job, whose outcome comes later. */
export async function build(order: Order, key = newKey()): Promise<string> {
  return (await call<{ job: string }>('reporter', 'api/v1/reports', { method: 'POST', body: order, key })).data.job;
}

export async function job(id: string, signal?: AbortSignal): Promise<Job> {
  return (await call<Job>('reporter', `api/v1/jobs/${encodeURIComponent(id)}`, { signal })).data;
}

/** The month before this one, as `2026-10`. */
export function lastMonth(now: Date): string {
  return new Date(Date.UTC(now.getFullYear(), now.getMonth() - 1, 15)).toISOString().slice(0, 7);
}
