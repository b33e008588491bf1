import { call, newKey } from '../api';
import type { Device } from '../devices/model';
import type { Who } from '../parts/Who';

/** What the console may run on a platform, and how a value of each parameter looks. */
export interface Platform {
  platform: string;
  title: string;
  aliases: string[];
  parameters: Record<string, string>;
  console: Array<{ command: string; about: string }>;
}

export interface Answer {
  device: string;
  ok: boolean;
  text: string;
  truncated: boolean;
  seconds: number;
}

/** An answer beside the one before. */
export interface Compared {
  device: string;
  /** The run with the answer before, and when that was. */
  job: string;
  at: number;
  added: string[];
  removed: string[];
}

/** A command that was run. */
export interface Run {
  id: string;
  state: 'running' | 'done' | 'unknown';
  command: string;
  devices: string[];
  requester: Who;
  created: number;
  trace_id?: string;
  answers: Answer[];
  /** How each answer differs from the last one of the device to the same command; who never gave one is left out. */
  changes?: Compared[];
  /** Names of devices whose answers are the same, the largest group first. */
  groups?: string[][];
}

export async function platforms(signal?: AbortSignal): Promise<Platform[]> {
  return (await call<{ platforms: Platform[] }>('remediator', 'api/v1/platforms', { signal })).data.platforms;
}

export async function runs(signal?: AbortSignal): Promise<Run[]> {
  return (await call<{ commands: Run[] }>('remediator', 'api/v1/commands', { query: { limit: 20 }, signal })).data.commands;
}

export async function run(id: string, signal?: AbortSignal): Promise<Run> {
  return (await call<Run>('remediator', `api/v1/commands/${encodeURIComponent(id)}`, { signal })).data;
}

export interface Order {
  devices: string[];
  command: string;
  parameters: Record<string, string>;
}

/** Has a command run; the id of the run, whose answers come later. */
export async function order(order: Order, key = newKey()): Promise<string> {
  const got = await call<{ job: string }>('remediator', 'api/v1/commands', { method: 'POST', body: order, key });
  return got.data.job;
}

/** Devices that the console reaches: by SSH, and of a platform that is known. */
export function reachable(devices: Device[], known: Platform[]): Device[] {
  const names = new Set(known.flatMap(({ platform, aliases }) => [platform, ...aliases]));
  return devices.filter((device) => device.ssh !== undefined && names.has(device.platform));
}

/** What every one of these platforms may run. */
export function common(devices: Device[], known: Platform[]): Array<{ command: string; about: string }> {
  const of = (name: string) => known.find(({ platform, aliases }) => platform === name || aliases.includes(name));
  const lists = [...new Set(devices.map((device) => device.platform))].map((name) => of(name)?.console ?? []);
  const first = lists[0] ?? [];
  return first.filter(({ command }) => lists.every((list) => list.some((other) => other.command === command)));
}

/** Names of the places in `show interface {ifname}`. */
export function places(command: string): string[] {
  return [...command.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
}
