import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Settings } from '../src/settings/Settings';
import { barriers, grafana, sent, services, show, stub } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const who = (service: string) => ({ body: { service, version: '0.1.0', subject: 'user:3', display: 'ann', role: 'operator', via: 'grafana_token' } });
const lists = {
  'GET inventory/api/v1/whoami': who('sotp-inventory'),
  'GET remediator/api/v1/whoami': { status: 502, body: { message: 'Bad gateway' } },
  'GET configuration/api/v1/whoami': who('sotp-ssh-config'),
  'GET reporter/api/v1/whoami': { status: 403, body: { status: 403, detail: 'nothing is recorded here' } },
  'GET alertmanager/api/v2/status': { body: { versionInfo: { version: '0.27.0' } } },
  'GET alertmanager/api/v2/receivers': { body: [{ name: 'warning' }, { name: 'critical' }] },
  'POST alertmanager/api/v2/alerts': {},
};

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.settings:read', 'sotp-app.settings:test']);
});

test('each service says its version and who one is, and one that is gone is told', async () => {
  services(lists);
  const { container } = show('settings', 'settings', <Settings />);
  expect(await screen.findByText('0.27.0')).toBeTruthy();
  const row = screen.getByRole('row', { name: /^Inventory/ });
  expect(within(row).getByText(/ann/)).toBeTruthy();
  expect(within(row).getByText('operator')).toBeTruthy();
  expect(screen.getByText(/The service cannot be reached/)).toBeTruthy();
  expect(await barriers(container)).toEqual([]);
});

test('a test goes to one receiver alone, and one that goes elsewhere is told', async () => {
  let to = 'critical';
  stub(lists, /^GET alertmanager\/api\/v2\/alerts\?filter=test%3D%22[0-9a-f]{8}%22$/, () => [{ receivers: [{ name: to }] }]);
  show('settings', 'settings', <Settings />);
  await userEvent.click(await screen.findByRole('button', { name: 'Send a test to critical' }));
  expect(await screen.findByText('Alertmanager hands the test to critical.')).toBeTruthy();
  const posts = sent.filter(({ call }) => call.startsWith('POST'));
  const alert = (posts[0]?.body as Array<{ labels: Record<string, string>; startsAt: string; endsAt: string }>)[0];
  expect(alert?.labels).toMatchObject({ alertname: 'TestNotification', receiver: 'critical', severity: 'warning' });
  expect(Date.parse(alert?.endsAt ?? '') - Date.parse(alert?.startsAt ?? '')).toBe(60_000);
  to = 'screens';
  await userEvent.click(screen.getByRole('button', { name: 'Send a test to warning' }));
  expect(await screen.findByText('The test did not go to warning but to: screens.')).toBeTruthy();
});

test('who may only look sends nothing', async () => {
  grafana.actions = new Set(['sotp-app.settings:read']);
  services(lists);
  show('settings', 'settings', <Settings />);
  expect(await screen.findByText('critical')).toBeTruthy();
  expect(screen.queryByRole('button', { name: /Send a test/ })).toBeNull();
});
