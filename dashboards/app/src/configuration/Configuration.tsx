import { Combobox, EmptyState, Field, InteractiveTable, LoadingPlaceholder, Stack, type Column } from '@grafana/ui';
import { useMemo, useState } from 'react';
import { useLocation, useNavigate } from 'react-router';

import { Failed } from '../parts/Failed';
import { Page } from '../parts/Page';
import { When } from '../parts/When';
import { configurationPath } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { Around } from './Around';
import { Diff } from './Diff';
import { collected, versions, type Version } from './model';
import { Rules } from './Rules';
import { Search } from './Search';

/** The versions of a device's configuration, and what lies between two of them. */
export function Configuration() {
  const { configuration: t, loading } = words();
  const device = new URLSearchParams(useLocation().search).get('device') ?? '';
  const navigate = useNavigate();
  const devices = useLoaded('collected', collected);
  return (
    <Page title={t.title} about={t.about}>
      <Stack direction="column" gap={3}>
        {devices.error !== undefined && <Failed error={devices.error} again={devices.again} />}
        {!devices.value && devices.loading && <LoadingPlaceholder text={loading} />}
        {devices.value && (
          <Field label={t.device} description={t.deviceHow} htmlFor="device" noMargin>
            <Combobox
              id="device"
              width={40}
              placeholder={t.choose}
              options={devices.value.map((one) => ({
                label: one.device,
                value: one.device,
                description: one.obstacle ?? one.failure ?? undefined,
              }))}
              value={device || null}
              // Enter can come before the list is that of what was typed; there is no option then.
              onChange={(option?: { value: string }) => option && navigate(configurationPath(option.value))}
            />
          </Field>
        )}
        {device && <Versions key={device} device={device} />}
        {device && devices.value && <Rules key={`rules ${device}`} device={device} />}
        {devices.value && devices.value.length > 0 && <Search />}
      </Stack>
    </Page>
  );
}

function Versions({ device }: { device: string }) {
  const { configuration: t, loading } = words();
  const got = useLoaded(`versions ${device}`, (signal) => versions(device, signal));
  const list = useMemo(() => got.value ?? [], [got.value]);
  const [older, setOlder] = useState<string>();
  const [newer, setNewer] = useState<string>();
  // What changed last is what people look for first.
  const to = newer ?? list[0]?.version;
  const from = older ?? list[1]?.version;
  const chosen = list.find((version) => version.version === to);

  const columns: Array<Column<Version>> = useMemo(() => {
    const choice = (label: string, chosen: string | undefined, choose: (version: string) => void, version: string) => (
      <input
        type="radio"
        name={label}
        aria-label={`${label}: ${version.slice(0, 10)}`}
        checked={chosen === version}
        onChange={() => choose(version)}
      />
    );
    return [
      { id: 'older', header: t.older, cell: ({ row }) => choice(t.older, from, setOlder, row.original.version) },
      { id: 'newer', header: t.newer, cell: ({ row }) => choice(t.newer, to, setNewer, row.original.version) },
      { id: 'time', header: words().time, cell: ({ row }) => <When at={row.original.time} /> },
      { id: 'user', header: t.changedBy, cell: ({ row }) => row.original.user || '—' },
      { id: 'summary', header: t.diff },
      {
        id: 'lines',
        header: t.linesHeader,
        cell: ({ row }) => `+${row.original.added ?? 0} −${row.original.removed ?? 0}`,
      },
    ];
  }, [t, from, to]);

  if (got.error !== undefined) {
    return <Failed error={got.error} again={got.again} />;
  }
  if (!got.value) {
    return <LoadingPlaceholder text={loading} />;
  }
  if (list.length === 0) {
    return (
      <EmptyState variant="not-found" message={t.none}>
        {t.noneHow}
      </EmptyState>
    );
  }
  return (
    <>
      <section aria-labelledby="versions">
        <h2 id="versions">{t.versions}</h2>
        <InteractiveTable columns={columns} data={list} getRowId={(row) => row.version} pageSize={10} />
      </section>
      {from && to && <Diff device={device} from={from} to={to} />}
      {chosen && <Around key={chosen.version} device={device} at={chosen.time} />}
    </>
  );
}
