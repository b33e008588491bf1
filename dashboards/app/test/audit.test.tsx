import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Audit } from '../src/audit/Audit';
import { barriers, grafana, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const entry = (seq: number, event: string, more: object = {}) => ({
  seq, time: '2026-03-01T12:00:00Z', event, subject: 'user:3', display: 'ann', via: 'grafana_token', role: 'operator', verb: 'device.change', object: 'device/r1', trace_id: trace, ...more,
});
const records = [
  entry(6, 'read', { verb: 'configuration.read', display: 'eve' }),
  entry(5, 'refused', { via: 'none', display: '', detail: '401: caller-unknown from 192.0.2.1' }),
  entry(4, 'begun', { object: 'device/r9' }),
  entry(3, 'ended', { of: 2, outcome: 'done', detail: 'v1' }),
  entry(2, 'begun'),
];
const first = { 'GET inventory/api/v1/audit?limit=100': { body: { records, before: 2 } } };

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.audit:read']);
});

test('what was begun and ended is one row; what was read and refused stands there too, with a link to its trace', async () => {
  services({ ...first, 'GET inventory/api/v1/audit?before=2&limit=100': { body: { records: [entry(1, 'read', { object: 'device/old' })], before: null } } });
  const { container } = show('audit', 'audit', <Audit />);
  expect(await screen.findByText('eve')).toBeTruthy();
  expect(screen.getAllByRole('row')).toHaveLength(5);
  expect(screen.getByText('begun, not over')).toBeTruthy();
  expect(screen.getByText('done')).toBeTruthy();
  expect(screen.getByText('refused: 401: caller-unknown from 192.0.2.1')).toBeTruthy();
  expect(screen.getByText('somebody who is not known')).toBeTruthy();
  expect(screen.getAllByRole('link', { name: '4bf92f35' })[0]?.getAttribute('href')).toBe(`/d/sotp-trace?var-trace=${trace}`);
  expect(await barriers(container)).toEqual([]);
  await userEvent.click(screen.getByRole('button', { name: 'Older' }));
  expect(await screen.findByText('device/old')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Newer' }));
  expect(await screen.findByText('eve')).toBeTruthy();
});

test('the chain is checked when somebody asks, and what is wrong is named', async () => {
  const head = { sequence: 6, hash: 'a'.repeat(64) };
  services({ ...first, 'GET inventory/api/v1/audit/verify': { body: { whole: false, records: 5, head, findings: ['record 3 was changed'], lost: [] } } });
  show('audit', 'audit', <Audit />);
  await userEvent.click(await screen.findByRole('button', { name: 'Check that nothing was altered' }));
  expect(await screen.findByText('record 3 was changed')).toBeTruthy();
  expect(screen.getByText('The log is not what was written')).toBeTruthy();
  services({ ...first, 'GET inventory/api/v1/audit/verify': { body: { whole: true, records: 6, head, findings: [], lost: [] } } });
  await userEvent.click(screen.getByRole('button', { name: 'Check that nothing was altered' }));
  expect(await screen.findByText('Every one of the 6 records is what was written.')).toBeTruthy();
});

test('another service is asked for its own, and a refusal is told', async () => {
  services({ ...first, 'GET remediator/api/v1/audit?limit=100': { status: 403, body: { status: 403, detail: 'not allowed' } } });
  show('audit', 'audit', <Audit />);
  await userEvent.click(await screen.findByRole('radio', { name: 'Remediator' }));
  expect(await screen.findByText(/You may not do this/)).toBeTruthy();
});
