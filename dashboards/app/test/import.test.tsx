import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, expect, test, vi } from 'vitest';

import { Import } from '../src/devices/Import';
import { barriers, grafana, sent, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const LIST = 'name,address\nr8,192.0.2.8\n';
const asked = 'POST inventory/api/v1/import?format=csv&validate=true';

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.devices:read', 'sotp-app.devices:write']);
  grafana.language = 'en-US';
});

test('each line that cannot be taken is told with its number', async () => {
  const errors = [
    { line: 3, field: 'name', detail: 'expected letters and digits' },
    { line: 7, field: 'site', detail: 'no such site' },
  ];
  services({ [asked]: { status: 422, body: { status: 422, detail: '2 lines cannot be taken', errors } } });
  const { container } = show('devices/import', 'devices/import', <Import />);
  await userEvent.type(screen.getByLabelText('List'), 'name');
  await userEvent.click(screen.getByRole('button', { name: 'Review the change' }));
  expect(await screen.findByText('2 lines cannot be taken')).toBeTruthy();
  const cells = screen.getAllByRole('cell').map((cell) => cell.textContent);
  expect(cells).toEqual(['3', 'name', 'expected letters and digits', '7', 'site', 'no such site']);
  expect(await barriers(container)).toEqual([]);
});

test('a file is looked at, and what was seen is what is taken', async () => {
  const changes = [{ op: 'add', path: 'devices/r8', after: { name: 'r8', address: '192.0.2.8' } }];
  services({
    [asked]: { body: { changes, rewritten: null, if_match: '"5"', notes: [] } },
    'POST inventory/api/v1/import?format=csv': { body: {} },
  });
  const { container } = show('devices/import', 'devices/import', <Import />);
  await userEvent.upload(container.querySelector('input[type=file]')!, Object.assign(new File([LIST], 'devices.csv', { type: 'text/csv' }), { text: async () => LIST }));
  await waitFor(() => expect((screen.getByLabelText('List') as HTMLTextAreaElement).value).toBe(LIST));
  await userEvent.click(screen.getByRole('button', { name: 'Review the change' }));
  expect(await screen.findByText('192.0.2.8')).toBeTruthy();
  await userEvent.click(screen.getByRole('button', { name: 'Save' }));
  expect(await screen.findByText('elsewhere')).toBeTruthy();
  const last = sent.at(-1);
  expect(last?.call).toBe('POST inventory/api/v1/import?format=csv');
  expect(last?.body).toBe(LIST);
  expect(last?.headers.get('if-match')).toBe('"5"');
  expect(last?.headers.get('idempotency-key')).toMatch(/^[0-9a-f]{32}$/);
});
