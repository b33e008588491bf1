import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Console } from '../src/console/Console';
import { barriers, grafana, sent, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const device = (name: string, platform: string, ssh: object | null = {}) => ({ name, platform, ...(ssh && { ssh }), groups: [], tags: [] });
const frr = {
  platform: 'frr',
  title: 'FRRouting',
  aliases: ['frrouting'],
  parameters: { ifname: '[a-z]+' },
  console: [
    { command: 'show version', about: 'version' },
    { command: 'show interface {ifname}', about: 'one interface' },
  ],
};
const lists = {
  'GET remediator/api/v1/platforms': { body: { platforms: [frr] } },
  'GET inventory/api/v1/devices?limit=1000': {
    body: { total: 4, devices: [device('r1', 'frr'), device('r2', 'frrouting'), device('h1', 'frr', null), device('x1', 'other')] },
  },
  'GET remediator/api/v1/commands?limit=20': { body: { commands: [] } },
};
const done = {
  id: 'J1',
  state: 'done',
  command: 'show version',
  devices: ['r1', 'r2', 'r3'],
  requester: { subject: 'user:3', display: 'ed', via: 'grafana' },
  created: 0,
  answers: [
    { device: 'r1', ok: true, text: 'FRRouting 8.4', truncated: false, seconds: 0.1 },
    { device: 'r2', ok: true, text: 'FRRouting 8.4', truncated: false, seconds: 0.1 },
    { device: 'r3', ok: false, text: 'connection refused', truncated: false, seconds: 0.1 },
  ],
  groups: [['r1', 'r2'], ['r3']],
  changes: [
    { device: 'r1', job: 'J0', at: 0, added: ['FRRouting 8.4'], removed: ['FRRouting 8.3'] },
    { device: 'r2', job: 'J0', at: 0, added: [], removed: [] },
  ],
};

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.jobs:read', 'sotp-app.commands:run']);
});

test('a command of the list is run on the chosen devices, once, under a key', async () => {
  services({ ...lists, 'POST remediator/api/v1/commands': { status: 202, body: { job: 'J1', location: '/v1/commands/J1' } }, 'GET remediator/api/v1/commands/J1': { body: done } });
  const { container } = show('console', 'console', <Console />);
  await userEvent.click(await screen.findByRole('checkbox', { name: 'r1' }));
  await userEvent.click(screen.getByRole('checkbox', { name: 'r2' }));
  // By SSH and of a known platform only.
  expect(screen.queryByRole('checkbox', { name: 'h1' })).toBeNull();
  expect(screen.queryByRole('checkbox', { name: 'x1' })).toBeNull();
  expect(await barriers(container)).toEqual([]);
  await userEvent.click(screen.getByRole('button', { name: 'Run' }));
  expect(await screen.findByText('Choose a command.')).toBeTruthy();
  await userEvent.click(screen.getByRole('radio', { name: /show version/ }));
  await userEvent.click(screen.getByRole('button', { name: 'Run' }));
  expect(await screen.findByText(/2 devices answered the same: r1, r2/)).toBeTruthy();
  expect(screen.getByText(/r3: no answer/)).toBeTruthy();
  const posts = sent.filter(({ call }) => call.startsWith('POST'));
  expect(posts).toHaveLength(1);
  expect(posts[0]?.body).toEqual({ devices: ['r1', 'r2'], command: 'show version', parameters: {} });
  expect(posts[0]?.headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
  expect(await barriers(container)).toEqual([]);
});

test('answers are waited for', async () => {
  const running = { ...done, state: 'running', answers: [], groups: [] };
  services({ ...lists, 'GET remediator/api/v1/commands/J1': { body: running } });
  show('console?run=J1', 'console', <Console />);
  expect(await screen.findByText('3 devices have still to answer')).toBeTruthy();
  services({ ...lists, 'GET remediator/api/v1/commands/J1': { body: done } });
  await waitFor(() => expect(screen.getByText(/2 devices answered the same/)).toBeTruthy(), { timeout: 5000 });
});

test('each answer is shown beside the one before: what came, what went, who answered as before', async () => {
  services({ ...lists, 'GET remediator/api/v1/commands/J1': { body: done } });
  const { container } = show('console?run=J1', 'console', <Console />);
  const lines = await screen.findByLabelText('r1: what is other than on');
  expect(lines.textContent).toBe('-FRRouting 8.3\n+FRRouting 8.4\n');
  expect(screen.getByText(/^r2: the same lines as on/)).toBeTruthy();
  expect(screen.getAllByRole('link').filter((link) => link.getAttribute('href') === '/a/sotp-app/console?run=J0')).toHaveLength(2);
  expect(await barriers(container)).toEqual([]);
});

test('who may only look reads answers and runs nothing', async () => {
  grafana.actions = new Set(['sotp-app.jobs:read']);
  services({ ...lists, 'GET remediator/api/v1/commands/J1': { body: done } });
  show('console?run=J1', 'console', <Console />);
  expect(await screen.findByText(/2 devices answered the same/)).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Run' })).toBeNull();
});

test('a service that is not part of this installation is told so', async () => {
  const missing = { status: 404, body: { message: 'plugin route match not found' } };
  services({ ...lists, 'GET remediator/api/v1/platforms': missing, 'GET remediator/api/v1/commands?limit=20': missing });
  show('console', 'console', <Console />);
  expect((await screen.findAllByText(/does not have the service that this page needs/)).length).toBeGreaterThan(0);
});
