import { call } from '../api';
import type { Who } from '../parts/Who';

/** A repair, as far as it has come. */
export interface Job {
  id: string;
  state: string;
  reason: string;
  runbook: string;
  device: string;
  port?: string;
  site: string;
  created: number;
  updated: number;
  expires?: number;
  plan?: { steps: Array<{ step: string; lines: string[] }>; rollback?: Array<{ step: string; lines: string[] }>; evidence?: Record<string, string> };
  plan_hash?: string;
  lines?: string[];
  requester?: Who;
  approver?: Who;
  output?: string;
}

export async function waiting(signal?: AbortSignal): Promise<Job[]> {
  return (await call<{ jobs: Job[] }>('remediator', 'api/v1/jobs', { query: { state: 'awaiting_approval' }, signal })).data.jobs;
}

export async function recent(signal?: AbortSignal): Promise<Job[]> {
  const got = await call<{ jobs: Job[] }>('remediator', 'api/v1/jobs', { query: { limit: 50 }, signal });
  return got.data.jobs.filter((job) => job.state !== 'awaiting_approval');
}

/** Approves the plan that was looked at, or refuses it; the service does either once. */
export async function decide(job: Job, approve: boolean, reason: string, key: string): Promise<void> {
  const path = `api/v1/jobs/${encodeURIComponent(job.id)}/${approve ? 'approve' : 'reject'}`;
  await call('remediator', path, { method: 'POST', body: { plan_hash: job.plan_hash ?? '', reason }, key });
}
