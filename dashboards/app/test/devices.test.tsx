import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, test, vi } from 'vitest';

import { DevicePage } from '../src/devices/DevicePage';
import { Devices } from '../src/devices/Devices';
import { NewDevice } from '../src/devices/NewDevice';
import { barriers, grafana, sent, services, show } from './support';

vi.mock('@grafana/runtime', async (original) => (await import('./support')).runtime(await original<typeof import('@grafana/runtime')>()));

const r1 = { name: 'r1', address: '198.18.0.1', site: 'brno', role: 'core', platform: 'frr', groups: [], tags: [], ping: {}, snmp: {} };
const found = (devices: object[]) => ({ body: { version: 'v', total: devices.length, devices } });
const lists = {
  'GET inventory/api/v1/sites': { body: { sites: [{ name: 'brno' }] } },
  'GET inventory/api/v1/groups': { body: { groups: [{ name: 'routers' }] } },
};

beforeEach(() => {
  grafana.actions = new Set(['sotp-app.devices:read', 'sotp-app.devices:write']);
  grafana.language = 'en-US';
});

describe('the list', () => {
  test('shows the devices, where they lead to, and nothing that stops a screen reader', async () => {
    services({ ...lists, 'GET inventory/api/v1/devices?limit=1000': found([r1]) });
    const { container } = show('devices', 'devices', <Devices />);
    const link = await screen.findByRole('link', { name: 'r1' });
    expect(link.getAttribute('href')).toBe('/a/sotp-app/devices/r1');
    expect(screen.getByText('snmp')).toBeTruthy();
    expect(screen.getByRole('link', { name: 'Add device' })).toBeTruthy();
    expect(await barriers(container)).toEqual([]);
  });

  test('offers nothing to who may only look', async () => {
    grafana.actions = new Set(['sotp-app.devices:read']);
    services({ ...lists, 'GET inventory/api/v1/devices?limit=1000': found([]) });
    show('devices', 'devices', <Devices />);
    expect(await screen.findByText('No device yet')).toBeTruthy();
    expect(screen.queryByRole('link', { name: 'Add device' })).toBeNull();
  });

  test('asks the service for what is typed', async () => {
    services({
      ...lists,
      'GET inventory/api/v1/devices?limit=1000': found([r1]),
      'GET inventory/api/v1/devices?name=zz&limit=1000': found([]),
    });
    show('devices', 'devices', <Devices />);
    await userEvent.type(await screen.findByLabelText('Search'), 'zz');
    expect(await screen.findByText('No device fits')).toBeTruthy();
  });

  test('says what to do when the service is not there', async () => {
    services({ ...lists, 'GET inventory/api/v1/devices?limit=1000': { status: 502, body: { message: 'Bad gateway' } } });
    show('devices', 'devices', <Devices />);
    expect(await screen.findByText(/The service cannot be reached/)).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Try again' })).toBeTruthy();
  });

  test('speaks Polish to who chose it', async () => {
    grafana.language = 'pl-PL';
    services({ ...lists, 'GET inventory/api/v1/devices?limit=1000': found([r1]) });
    show('devices', 'devices', <Devices />);
    expect(await screen.findByRole('link', { name: 'Dodaj urządzenie' })).toBeTruthy();
  });
});

describe('a new device', () => {
  const typed = async () => {
    await userEvent.type(await screen.findByLabelText(/^Name/), 'r7');
    await userEvent.type(screen.getByLabelText(/^Address/), '198.18.0.300');
    await userEvent.click(screen.getByRole('button', { name: 'Review the change' }));
  };

  test('a value that the service refuses is told at its field', async () => {
    const body = { status: 422, detail: 'address: not an address', errors: [{ field: 'address', detail: 'expected an address' }] };
    services({ ...lists, 'POST inventory/api/v1/devices?validate=true': { status: 422, body } });
    const { container } = show('devices/new', 'devices/new', <NewDevice />);
    await typed();
    const field = await screen.findByLabelText(/^Address/);
    await waitFor(() => expect(field.getAttribute('aria-invalid')).toBe('true'));
    expect(screen.getByText('expected an address')).toBeTruthy();
    expect(document.activeElement).toBe(field);
    expect(await barriers(container)).toEqual([]);
  });

  test('is sent once under one key, however often it is tried', async () => {
    const plan = { changes: [{ op: 'add', path: 'devices[r7]', after: { name: 'r7' } }], rewritten: null, valid: true };
    services({
      ...lists,
      'POST inventory/api/v1/devices?validate=true': { body: plan },
      'POST inventory/api/v1/devices': { status: 502, body: { message: 'Bad gateway' } },
    });
    show('devices/new', 'devices/new', <NewDevice />);
    await typed();
    const save = await screen.findByRole('button', { name: 'Save' });
    await userEvent.click(save);
    expect(await screen.findByText(/It is not known whether it was done/)).toBeTruthy();
    await userEvent.click(save);
    await waitFor(() => expect(sent.filter(({ call }) => call === 'POST inventory/api/v1/devices')).toHaveLength(2));
    const keys = sent.filter(({ call }) => call === 'POST inventory/api/v1/devices').map(({ headers }) => headers.get('idempotency-key'));
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(keys).size).toBe(1);
  });
});

describe('a device', () => {
  const written = { name: 'r1', address: '198.18.0.1', snmp: { module: 'if_mib', interval: '30s' }, mqtt: { topics: ['x'] } };
  const one = {
    ...lists,
    'GET inventory/api/v1/devices/r1?form=written': { body: written, headers: { etag: '"a"' } },
    'GET inventory/api/v1/versions?entry=devices%2Fr1&limit=50': { body: { versions: [] } },
  };

  test('only what was changed is sent, with the tag of what was seen', async () => {
    services({ ...one, 'PATCH inventory/api/v1/devices/r1?validate=true': { body: { changes: [], rewritten: null, valid: true } } });
    show('devices/r1', 'devices/:name', <DevicePage />);
    const role = await screen.findByLabelText(/^Role/);
    await userEvent.type(role, 'core');
    const address = screen.getByLabelText(/^Address/);
    await userEvent.clear(address);
    await userEvent.type(address, '198.18.0.2');
    await userEvent.click(screen.getByRole('button', { name: 'Review the change' }));
    await screen.findByText('Change r1?');
    const patch = sent.find(({ call }) => call.startsWith('PATCH'));
    expect(patch?.body).toEqual({ role: 'core', address: '198.18.0.2' });
    expect(patch?.headers.get('if-match')).toBe('"a"');
    expect(patch?.headers.get('content-type')).toBe('application/merge-patch+json');
  });

  test('that is gone is told so', async () => {
    const body = { status: 404, detail: 'no device has this name; /api/v1/devices lists them' };
    services({ ...lists, 'GET inventory/api/v1/devices/r1?form=written': { status: 404, body } });
    show('devices/r1', 'devices/:name', <DevicePage />);
    expect(await screen.findByText('There is no device r1')).toBeTruthy();
  });
});
