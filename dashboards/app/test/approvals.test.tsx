import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Approvals } from '../src/approvals/Approvals';
import { barriers, grafana, sent, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const job = {
  id: 'A1',
  state: 'awaiting_approval',
  reason: 'a person shut it',
  runbook: 'port-up',
  device: 'r1',
  port: 'to-r2',
  site: 'brno',
  created: 0,
  updated: 0,
  expires: 4102444800000,
  plan: { steps: [{ step: 'port_up', lines: ['interface to-r2', 'no shutdown'] }], rollback: [{ step: 'port_down', lines: ['interface to-r2', 'shutdown'] }], evidence: { admin: 'down' } },
  plan_hash: 'abc',
  lines: ['interface to-r2', 'no shutdown'],
};
const past = { ...job, id: 'A0', state: 'succeeded', reason: 'it is up', approver: { subject: 'user:1', display: 'ann', via: 'grafana' } };
const lists = {
  'GET remediator/api/v1/jobs?state=awaiting_approval': { body: { jobs: [job] } },
  'GET remediator/api/v1/jobs?limit=50': { body: { jobs: [job, past] } },
};

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.approvals:read', 'sotp-app.approvals:decide']);
});

test('the plan that was looked at is approved, once', async () => {
  services({ ...lists, 'POST remediator/api/v1/jobs/A1/approve': { status: 202, body: { job: 'A1', state: 'claimed' } } });
  const { container } = show('approvals', 'approvals', <Approvals />);
  expect(await screen.findByText(/a person shut it/)).toBeTruthy();
  expect(screen.getByText('ann')).toBeTruthy();
  expect(await barriers(container)).toEqual([]);
  await userEvent.click(screen.getByRole('button', { name: 'Approve' }));
  const dialog = await screen.findByRole('dialog');
  expect(within(dialog).getByText(/no shutdown/)).toBeTruthy();
  await userEvent.click(within(dialog).getByRole('button', { name: 'Approve' }));
  expect(await screen.findByText('Approved: it runs now.')).toBeTruthy();
  const posts = sent.filter(({ call }) => call.startsWith('POST'));
  expect(posts).toHaveLength(1);
  expect(posts[0]?.body).toEqual({ plan_hash: 'abc', reason: '' });
  expect(posts[0]?.headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
});

test('a plan that is another one by now is not approved', async () => {
  const body = { status: 409, detail: 'plan_hash: expected that of the plan that was looked at' };
  services({ ...lists, 'POST remediator/api/v1/jobs/A1/approve': { status: 409, body } });
  show('approvals', 'approvals', <Approvals />);
  await userEvent.click(await screen.findByRole('button', { name: 'Approve' }));
  const dialog = await screen.findByRole('dialog');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Approve' }));
  expect(await within(dialog).findByText(/The service says: plan_hash/)).toBeTruthy();
  expect(within(dialog).getByText('Nothing was changed.')).toBeTruthy();
});

test('a refusal carries its reason', async () => {
  services({ ...lists, 'POST remediator/api/v1/jobs/A1/reject': { status: 202, body: {} } });
  show('approvals', 'approvals', <Approvals />);
  await userEvent.click(await screen.findByRole('button', { name: 'Refuse' }));
  const dialog = await screen.findByRole('dialog');
  await userEvent.type(within(dialog).getByLabelText(/Reason/), 'work tonight');
  await userEvent.click(within(dialog).getByRole('button', { name: 'Refuse' }));
  expect(await screen.findByText('Refused: nothing is run.')).toBeTruthy();
  expect(sent.find(({ call }) => call.endsWith('reject'))?.body).toEqual({ plan_hash: 'abc', reason: 'work tonight' });
});

test('who may only look decides nothing', async () => {
  grafana.actions = new Set(['sotp-app.approvals:read']);
  services(lists);
  show('approvals', 'approvals', <Approvals />);
  expect(await screen.findByText(/a person shut it/)).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Approve' })).toBeNull();
});
