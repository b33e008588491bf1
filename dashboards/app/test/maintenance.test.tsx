import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Maintenance } from '../src/maintenance/Maintenance';
import { state, weekly } from '../src/maintenance/model';
import { barriers, grafana, sent, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
const going = { start: at(-1), end: at(1), reason: 'new line card' };
const planned = { start: at(24), end: at(25), reason: 'power' };
const over = { start: at(-9), end: at(-8), reason: 'fans' };
const written = {
  body: {
    devices: [{ name: 'r1', maintenance: [over, going] }, { name: 'r2' }],
    groups: [{ name: 'routers', defaults: { maintenance: [planned] } }],
  },
};
const dryRun = { body: { changes: [{ op: 'replace', path: 'devices/r2/maintenance', after: [going] }], rewritten: null } };

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.devices:read', 'sotp-app.devices:write', 'sotp-app.groups:write']);
  grafana.language = 'en-US';
});

test('windows are once or a week apart, and end before their end', () => {
  const start = Date.parse('2026-03-28T22:00:00.400Z');
  expect(weekly(start, 90, 2, 'w')).toEqual([
    { start: '2026-03-28T22:00:00Z', end: '2026-03-28T23:30:00Z', reason: 'w' },
    { start: '2026-04-04T22:00:00Z', end: '2026-04-04T23:30:00Z', reason: 'w' },
  ]);
  const one = { start: '2026-03-28T22:00:00Z', end: '2026-03-28T23:30:00Z' };
  expect(state(one, Date.parse(one.start) - 1)).toBe('planned');
  expect(state(one, Date.parse(one.start))).toBe('now');
  expect(state(one, Date.parse(one.end))).toBe('over');
});

test('lists what goes on first and what is over last, and nothing stops a screen reader', async () => {
  services({ 'GET inventory/api/v1/inventory': written });
  const { container } = show('maintenance', 'maintenance', <Maintenance />);
  const rows = await screen.findAllByRole('row');
  const said = rows.slice(1).map((row) => within(row).getAllByRole('cell').slice(0, 2).map((cell) => cell.textContent));
  expect(said).toEqual([
    ['r1', 'goes on'],
    ['group routers', 'planned'],
    ['r1', 'over'],
  ]);
  expect(await barriers(container)).toEqual([]);
});

test('work begins now, a second time a week later, beside what was planned already', async () => {
  services({
    'GET inventory/api/v1/inventory': written,
    'GET inventory/api/v1/devices/r2?form=written': { body: { name: 'r2', maintenance: [planned] }, headers: { etag: '"7"' } },
    'PATCH inventory/api/v1/devices/r2?validate=true': dryRun,
    'PATCH inventory/api/v1/devices/r2': { body: {} },
  });
  show('maintenance?device=r2', 'maintenance', <Maintenance />);
  await userEvent.click(await screen.findByRole('button', { name: 'Review the change' }));
  // A reason is asked for before anybody is told.
  expect(await screen.findByText('This is needed.')).toBeTruthy();
  await userEvent.type(screen.getByLabelText(/^Reason/), 'new software');
  const weeks = screen.getByLabelText(/^Weeks/);
  await userEvent.clear(weeks);
  await userEvent.type(weeks, '2');
  await userEvent.click(screen.getByRole('button', { name: 'Review the change' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Save' }));
  expect(await screen.findByText('Work on r2 is planned.')).toBeTruthy();
  const last = sent.filter(({ call }) => call === 'PATCH inventory/api/v1/devices/r2');
  expect(last).toHaveLength(1);
  expect(last[0]?.headers.get('if-match')).toBe('"7"');
  const { maintenance } = last[0]?.body as { maintenance: Array<typeof planned> };
  expect(maintenance.map(({ reason }) => reason)).toEqual(['power', 'new software', 'new software']);
  const [, first, second] = maintenance;
  expect(Math.abs(Date.parse(first!.start) - Date.now())).toBeLessThan(60_000);
  expect(Date.parse(first!.end) - Date.parse(first!.start)).toBe(3_600_000);
  expect(Date.parse(second!.start) - Date.parse(first!.start)).toBe(7 * 24 * 3_600_000);
});

test('what goes on is ended now, and what is planned for a group is cancelled', async () => {
  services({
    'GET inventory/api/v1/inventory': written,
    'GET inventory/api/v1/devices/r1?form=written': { body: { name: 'r1', maintenance: [over, going] }, headers: { etag: '"1"' } },
    'PATCH inventory/api/v1/devices/r1?validate=true': dryRun,
    'GET inventory/api/v1/groups/routers?form=written': { body: { name: 'routers', defaults: { maintenance: [planned] } }, headers: { etag: '"2"' } },
    'PATCH inventory/api/v1/groups/routers?validate=true': dryRun,
  });
  show('maintenance', 'maintenance', <Maintenance />);
  await userEvent.click(await screen.findByRole('button', { name: /^End now/ }));
  expect(await screen.findByText('End the work on r1 now?')).toBeTruthy();
  await waitFor(() => expect(sent.at(-1)?.call).toBe('PATCH inventory/api/v1/devices/r1?validate=true'));
  const { maintenance } = sent.at(-1)?.body as { maintenance: Array<typeof going> };
  expect(maintenance[0]).toEqual(over);
  expect(maintenance[1]?.start).toBe(going.start);
  expect(Math.abs(Date.parse(maintenance[1]!.end) - Date.now())).toBeLessThan(60_000);
  await userEvent.click(screen.getByRole('button', { name: 'Cancel' }));
  await userEvent.click(screen.getByRole('button', { name: /^Cancel: routers/ }));
  expect(await screen.findByText('Cancel the work on routers?')).toBeTruthy();
  expect(sent.at(-1)?.body).toEqual({ defaults: { maintenance: null } });
});

test('an editor has no buttons for groups, and a viewer none at all', async () => {
  grafana.actions = new Set(['sotp-app.devices:read', 'sotp-app.devices:write']);
  services({ 'GET inventory/api/v1/inventory': written });
  const { unmount } = show('maintenance', 'maintenance', <Maintenance />);
  expect(await screen.findByRole('button', { name: /^End now/ })).toBeTruthy();
  expect(screen.queryByRole('button', { name: /^Cancel: routers/ })).toBeNull();
  expect(screen.queryByText('Group')).toBeNull();
  unmount();
  grafana.actions = new Set(['sotp-app.devices:read']);
  services({ 'GET inventory/api/v1/inventory': written });
  show('maintenance', 'maintenance', <Maintenance />);
  expect(await screen.findByText(/You may look here/)).toBeTruthy();
  expect(screen.queryByRole('button', { name: /^End now/ })).toBeNull();
  expect(screen.queryByRole('button', { name: 'Review the change' })).toBeNull();
});
