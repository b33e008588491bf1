import type { Section, Written } from './model';

export type Switch = 'inherit' | 'on' | 'off';

export const JOBS = ['ping', 'snmp', 'ssh', 'syslog', 'flow'] as const;
export type Job = (typeof JOBS)[number];

/** What the form holds. */
export interface Values {
  name: string;
  address: string;
  site: string;
  role: string;
  platform: string;
  /** Words, weakest first. */
  groups: string;
  tags: string;
  jobs: Record<Job, Switch>;
  module: string;
  auth: string;
  credentials: string;
}

export const EMPTY: Values = {
  name: '',
  address: '',
  site: '',
  role: '',
  platform: '',
  groups: '',
  tags: '',
  jobs: { ping: 'inherit', snmp: 'inherit', ssh: 'inherit', syslog: 'inherit', flow: 'inherit' },
  module: '',
  auth: '',
  credentials: '',
};

const text = (value: unknown) => (typeof value === 'string' ? value : '');

function switched(entry: Written, job: Job): Switch {
  if (!(job in entry)) {
    return 'inherit';
  }
  const section = entry[job];
  if (section?.enabled === false) {
    return 'off';
  }
  // Ping is on by itself: a section without the word says nothing about it.
  return job === 'ping' && section?.enabled === undefined ? 'inherit' : 'on';
}

/** The form of a device as it is written. */
export function values(entry: Written): Values {
  const jobs = Object.fromEntries(JOBS.map((job) => [job, switched(entry, job)])) as Record<Job, Switch>;
  return {
    name: entry.name,
    address: entry.address ?? '',
    site: entry.site ?? '',
    role: entry.role ?? '',
    platform: entry.platform ?? '',
    groups: (entry.groups ?? []).join(' '),
    tags: (entry.tags ?? []).join(' '),
    jobs,
    module: text(entry.snmp?.module),
    auth: text(entry.snmp?.auth),
    credentials: text(entry.ssh?.credentials),
  };
}

const words = (line: string) => line.split(/[\s,]+/).filter((word) => word !== '');

function section(job: Job, form: Values): Section | undefined {
  const inner: Section = {};
  if (job === 'snmp' && form.jobs.snmp !== 'inherit') {
    Object.assign(inner, form.module && { module: form.module.trim() }, form.auth && { auth: form.auth.trim() });
  }
  if (job === 'ssh' && form.jobs.ssh !== 'inherit' && form.credentials) {
    inner.credentials = form.credentials.trim();
  }
  switch (form.jobs[job]) {
    case 'inherit':
      return undefined;
    case 'on':
      return { ...inner, enabled: true };
    case 'off':
      return { ...inner, enabled: false };
  }
}

/** A new entry. */
export function entry(form: Values): Written {
  const made: Written = { name: form.name.trim() };
  const set = (key: 'address' | 'site' | 'role' | 'platform') => {
    if (form[key].trim()) {
      made[key] = form[key].trim();
    }
  };
  set('address');
  set('site');
  set('role');
  set('platform');
  for (const key of ['groups', 'tags'] as const) {
    if (words(form[key]).length > 0) {
      made[key] = words(form[key]);
    }
  }
  for (const job of JOBS) {
    const own = section(job, form);
    if (own) {
      made[job] = own;
    }
  }
  return made;
}

/** A merge patch (RFC 7396) from what is written to what the form says; only what a person changed stands in it. */
export function patch(before: Written, form: Values): Record<string, unknown> {
  const old = values(before);
  const made: Record<string, unknown> = {};
  for (const key of ['address', 'site', 'role', 'platform'] as const) {
    if (form[key].trim() !== old[key]) {
      made[key] = form[key].trim() || null;
    }
  }
  for (const key of ['groups', 'tags'] as const) {
    const list = words(form[key]);
    if (list.join(' ') !== old[key]) {
      made[key] = list.length > 0 ? list : null;
    }
  }
  for (const job of JOBS) {
    const change = sectionPatch(job, old, form);
    if (change !== undefined) {
      made[job] = change;
    }
  }
  return made;
}

function sectionPatch(job: Job, old: Values, form: Values): object | null | undefined {
  const change: Record<string, unknown> = {};
  if (form.jobs[job] !== old.jobs[job]) {
    if (form.jobs[job] === 'inherit' && job !== 'ping') {
      // A section that stands there switches the job on.
      return null;
    }
    change.enabled = form.jobs[job] === 'inherit' ? null : form.jobs[job] === 'on';
  }
  const inner = (key: 'module' | 'auth' | 'credentials') => {
    if (form.jobs[job] !== 'inherit' && form[key].trim() !== old[key]) {
      change[key] = form[key].trim() || null;
    }
  };
  if (job === 'snmp') {
    inner('module');
    inner('auth');
  }
  if (job === 'ssh') {
    inner('credentials');
  }
  return Object.keys(change).length > 0 ? change : undefined;
}

/** The field of the form that a service's path such as `snmp.module` or `groups[0]` belongs to. */
export function fieldOf(path: string): string | null {
  const known: Record<string, string> = {
    name: 'name',
    address: 'address',
    addresses: 'address',
    site: 'site',
    role: 'role',
    platform: 'platform',
    groups: 'groups',
    tags: 'tags',
    'snmp.module': 'module',
    'snmp.auth': 'auth',
    'ssh.credentials': 'credentials',
  };
  const plain = path.replace(/\[\d+\]/g, '');
  return known[plain] ?? known[plain.split('.')[0] ?? ''] ?? null;
}
