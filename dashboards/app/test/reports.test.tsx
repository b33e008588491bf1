import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { lastMonth } from '../src/reports/model';
import { Reports } from '../src/reports/Reports';
import { barriers, grafana, sent, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const report = {
  month: '2026-10',
  devices: 3,
  incidents: 2,
  availability_ratio: 0.99912,
  target_ratio: 0.999,
  missing: [],
  files: [{ name: 'availability-2026-10.pdf', bytes: 1 }],
  mail: { state: 'sent', sent: '2026-11-01T05:00:00Z', error: null, to: ['noc@example.net'] },
};
const list = { 'GET reporter/api/v1/reports': { body: { reports: [report, { ...report, month: '2026-09', availability_ratio: null, mail: null, missing: [{ what: 'ping_up', why: 'timed out' }] }] } } };

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.reports:read', 'sotp-app.reports:build']);
});

test('reports are listed with their mail, and downloaded by the proxy', async () => {
  services(list);
  const { container } = show('reports', 'reports', <Reports />);
  expect(await screen.findByText(/99\.912 %/)).toBeTruthy();
  expect(screen.getByText('2026-10').style.whiteSpace).toBe('nowrap');
  expect(screen.getByText(/to noc@example.net/)).toBeTruthy();
  expect(screen.getByText('not sent')).toBeTruthy();
  expect(screen.getByText(/ping_up – timed out/)).toBeTruthy();
  const link = screen.getAllByRole('link', { name: 'availability-2026-10.pdf' })[0];
  expect(link?.getAttribute('href')).toBe('/api/plugin-proxy/sotp-app/reporter/api/v1/reports/2026-10/files/availability-2026-10.pdf');
  expect(link?.hasAttribute('download')).toBe(true);
  expect(await barriers(container)).toEqual([]);
});

test('a report is asked for once, and its outcome told', async () => {
  const job = { id: 'J', month: '2026-10', send: false, state: 'running', outcome: '' };
  services({ ...list, 'POST reporter/api/v1/reports': { status: 202, body: { job: 'J' } }, 'GET reporter/api/v1/jobs/J': { body: job } });
  show('reports', 'reports', <Reports />);
  const month = await screen.findByLabelText(/^Month/);
  await userEvent.clear(month);
  await userEvent.type(month, '2026-13');
  await userEvent.click(screen.getByRole('button', { name: 'Make the report' }));
  expect(sent.filter(({ call }) => call.startsWith('POST'))).toHaveLength(0);
  await userEvent.clear(month);
  await userEvent.type(month, '2026-10');
  await userEvent.click(screen.getByRole('button', { name: 'Make the report' }));
  expect(await screen.findByText(/is being made/)).toBeTruthy();
  const posts = sent.filter(({ call }) => call.startsWith('POST'));
  expect(posts.map(({ body }) => body)).toEqual([{ month: '2026-10', send: false, incomplete: false }]);
  services({ ...list, 'GET reporter/api/v1/jobs/J': { body: { ...job, state: 'failed', outcome: 'Prometheus does not answer' } } });
  await waitFor(() => expect(screen.getByText('Prometheus does not answer')).toBeTruthy(), { timeout: 5000 });
});

test('who may only read has no form', async () => {
  grafana.actions = new Set(['sotp-app.reports:read']);
  services(list);
  show('reports', 'reports', <Reports />);
  expect(await screen.findByText(/99\.912 %/)).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Make the report' })).toBeNull();
});

test('the month before January is December of the year before', () => {
  expect(lastMonth(new Date(2026, 0, 31))).toBe('2025-12');
  expect(lastMonth(new Date(2026, 11, 1))).toBe('2026-11');
});
