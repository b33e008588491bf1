import { PluginPage } from '@grafana/runtime';
import {
  Badge,
  Combobox,
  EmptyState,
  Field,
  Input,
  InteractiveTable,
  LinkButton,
  LoadingPlaceholder,
  Stack,
  TextLink,
  type Column,
} from '@grafana/ui';
import { useMemo, useState } from 'react';
import { useLocation } from 'react-router';

import { may } from '../may';
import { Done } from '../parts/Done';
import { Failed } from '../parts/Failed';
import { devicePath, ROOT } from '../paths';
import { useLoaded, useRested } from '../use';
import { words } from '../words';
import { list, sites as allSites, type Device } from './model';

const WATCHED = ['ping', 'snmp', 'ssh', 'syslog', 'flow', 'mqtt'] as const;

/** Every device, to search and to open. */
export function Devices() {
  const { devices: t, loading } = words();
  const asked = new URLSearchParams(useLocation().search);
  const [search, setSearch] = useState(asked.get('device') ?? '');
  const [site, setSite] = useState(asked.get('site') ?? '');
  const rested = useRested(search);
  const devices = useLoaded(`${rested} ${site}`, (signal) => list(rested, site, signal));
  const sites = useLoaded('sites', allSites);
  const writes = may('devices:write');

  const columns: Array<Column<Device>> = useMemo(
    () => [
      {
        id: 'name',
        header: t.name,
        cell: ({ row }) => <TextLink href={devicePath(row.original.name)}>{row.original.name}</TextLink>,
        sortType: 'alphanumeric',
      },
      { id: 'address', header: t.address },
      { id: 'site', header: t.site, sortType: 'alphanumeric' },
      { id: 'role', header: t.role, sortType: 'alphanumeric' },
      { id: 'platform', header: t.platform, sortType: 'alphanumeric' },
      {
        id: 'watched',
        header: t.watched,
        cell: ({ row }) => (
          <Stack gap={0.5} wrap="wrap">
            {WATCHED.filter((job) => row.original[job] !== undefined).map((job) => (
              <Badge key={job} text={job} color="blue" />
            ))}
          </Stack>
        ),
      },
    ],
    [t]
  );

  const found = devices.value;
  const searching = rested !== '' || site !== '';
  const add = (
    <LinkButton icon="plus" href={`${ROOT}/devices/new`}>
      {t.add}
    </LinkButton>
  );
  const actions = (
    <Stack gap={1} wrap="wrap">
      <LinkButton variant="secondary" icon="import" href={`${ROOT}/devices/import`}>
        {t.import}
      </LinkButton>
      {add}
    </Stack>
  );
  return (
    <PluginPage pageNav={{ text: t.title }} subTitle={t.about} actions={writes && actions}>
      <Done />
      <Stack direction="column" gap={2}>
        <Stack gap={2} wrap="wrap">
          <Field label={t.search} htmlFor="search" noMargin>
            <Input
              id="search"
              type="search"
              placeholder={t.searchHint}
              value={search}
              width={40}
              onChange={(event) => setSearch(event.currentTarget.value)}
            />
          </Field>
          <Field label={t.site} htmlFor="site" noMargin>
            <Combobox
              id="site"
              width={30}
              placeholder={t.anySite}
              options={(sites.value ?? []).map((name) => ({ label: name, value: name }))}
              value={site || null}
              isClearable
              onChange={(option) => setSite(option?.value ?? '')}
            />
          </Field>
        </Stack>
        {devices.error !== undefined && <Failed error={devices.error} again={devices.again} />}
        {!found && devices.loading && <LoadingPlaceholder text={loading} />}
        {found && found.devices.length > 0 && (
          <>
            <div role="status">
              {found.next ? t.more(found.devices.length, found.total) : t.count(found.devices.length, found.total)}
            </div>
            <InteractiveTable columns={columns} data={found.devices} getRowId={(row) => row.name} pageSize={50} />
          </>
        )}
        {found && found.devices.length === 0 && (
          <EmptyState
            variant={searching ? 'not-found' : 'call-to-action'}
            message={searching ? t.empty : t.nothing}
            button={!searching && writes ? add : undefined}
          >
            {searching ? t.emptyHow : writes ? t.nothingHow : t.nothingViewer}
          </EmptyState>
        )}
      </Stack>
    </PluginPage>
  );
}
