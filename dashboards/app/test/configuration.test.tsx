import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Configuration } from '../src/configuration/Configuration';
import { barriers, grafana, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const version = (digit: string, user: string) => ({ version: digit.repeat(40), time: '2026-01-01T00:00:00Z', user, trigger: 'syslog', added: 1, removed: 1, summary: 'r1: interface to-r2' });
const [c, b, a] = [version('c', 'ed'), version('b', ''), version('a', '')];
const verdict = (rule: string, breaches: object[]) => ({ rule, title: `rule ${rule}`, severity: 'major', why: 'because', fix: 'no telnet', breaches, ...(breaches.length > 0 && { introduced: { at: 0, by: 'eve', commit: 'c', or_before: true } }) });
const diff = '--- r1\t2026\n+++ r1\t2026\n@@ -1,2 +1,2 @@\n interface to-r2\n- description old\n+ description new\n';
const of = (from: object & { version: string }, to: { version: string }) =>
  `GET configuration/api/v1/devices/r1/diff?from=${from.version}&to=${to.version}&format=unified`;
const lists = {
  'GET configuration/api/v1/devices': { body: { devices: [{ device: 'r1', site: 'brno', platform: 'frr', obstacle: null, last_success: null, last_change: null, failure: null }] } },
  'GET configuration/api/v1/devices/r1/versions?limit=100': { body: { device: 'r1', versions: [c, b, a] } },
  [of(b!, c!)]: { body: diff },
  'GET configuration/api/v1/devices/r1/rules': { body: { rules: [verdict('ntp', []), verdict('ssh', [{ line: 3, place: ['line vty 0 4'], message: 'telnet is open' }])] } },
  'GET configuration/api/v1/history?at=2026-01-01T00%3A00%3A00Z&minutes=5': { body: { changes: [{ ...c, device: 'r1' }, { ...b, device: 'r7', user: 'bob' }] } },
};

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.configuration:read']);
});

test('the last change is shown first, its lines told by their sign', async () => {
  services(lists);
  const { container } = show('configuration?device=r1', 'configuration', <Configuration />);
  expect(await screen.findByText('Lines: 1 added, 1 removed')).toBeTruthy();
  expect(screen.getByText(/\+ description new/)).toBeTruthy();
  expect(screen.getByText('ed')).toBeTruthy();
  const moments = screen.getAllByText(/^2026-01-01 /);
  expect(moments.map(({ style }) => style.whiteSpace)).toEqual(moments.map(() => 'nowrap'));
  expect(await barriers(container)).toEqual([]);
});

test('side by side what was replaced stands beside what replaced it', async () => {
  services(lists);
  const { container } = show('configuration?device=r1', 'configuration', <Configuration />);
  await userEvent.click(await screen.findByRole('radio', { name: 'Side by side' }));
  const cells = within(screen.getByRole('region', { name: 'Side by side' })).getAllByRole('cell').map((cell) => cell.textContent?.trim());
  expect(cells.slice(-2)).toEqual(['-  description old', '+  description new']);
  expect(await barriers(container)).toEqual([]);
});

test('what else changed then, and which rules are broken since when, stand beside it', async () => {
  services(lists);
  show('configuration?device=r1', 'configuration', <Configuration />);
  expect(await screen.findByRole('link', { name: 'r7' })).toBeTruthy();
  expect(screen.getByText('telnet is open')).toBeTruthy();
  expect(screen.getByText(/or before · eve$/)).toBeTruthy();
  expect(screen.queryByText('rule ntp')).toBeNull();
});

test('a line is searched in every configuration', async () => {
  const match = { device: 'r9', line: 4, section: ['router bgp 1'], text: ' neighbor x' };
  services({ ...lists, 'GET configuration/api/v1/search?pattern=neighbor': { body: { matches: [match], more: false } } });
  show('configuration?device=r1', 'configuration', <Configuration />);
  await userEvent.type(await screen.findByRole('searchbox'), 'neighbor{Enter}');
  expect(await screen.findByRole('link', { name: 'r9' })).toBeTruthy();
  expect(screen.getByText(/router bgp 1 ›/)).toBeTruthy();
});

test('any two versions are compared', async () => {
  services({ ...lists, [of(a!, c!)]: { body: '' } });
  show('configuration?device=r1', 'configuration', <Configuration />);
  await userEvent.click(await screen.findByRole('radio', { name: 'Older: aaaaaaaaaa' }));
  expect(await screen.findByText('Both versions are the same.')).toBeTruthy();
});

test('nothing yet is told, with what would bring it', async () => {
  services({ ...lists, 'GET configuration/api/v1/devices/r1/versions?limit=100': { body: { device: 'r1', versions: [] } } });
  show('configuration?device=r1', 'configuration', <Configuration />);
  expect(await screen.findByText('No configuration was collected yet')).toBeTruthy();
});

test('who may not is told so', async () => {
  services({ ...lists, 'GET configuration/api/v1/devices': { status: 403, body: { status: 403, detail: 'forbidden' } } });
  show('configuration', 'configuration', <Configuration />);
  expect(await screen.findByText(/You may not do this/)).toBeTruthy();
});
