import { InteractiveTable, LoadingPlaceholder, TextLink, type Column } from '@grafana/ui';
import { useMemo } from 'react';

import { Failed } from '../parts/Failed';
import { When } from '../parts/When';
import { configurationPath } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { around, type Version } from './model';

type Change = Version & { device: string };

/** What changed on other devices at the same time. */
export function Around({ device, at }: { device: string; at: string }) {
  const { configuration: t, loading, time } = words();
  const got = useLoaded(`around ${at}`, (signal) => around(at, signal));
  const others = useMemo(() => got.value?.filter((one) => one.device !== device), [got.value, device]);
  const columns: Array<Column<Change>> = useMemo(
    () => [
      { id: 'time', header: time, cell: ({ row }) => <When at={row.original.time} /> },
      {
        id: 'device',
        header: t.device,
        cell: ({ row }) => <TextLink href={configurationPath(row.original.device)}>{row.original.device}</TextLink>,
      },
      { id: 'user', header: t.changedBy, cell: ({ row }) => row.original.user || '—' },
      { id: 'summary', header: t.diff },
    ],
    [t, time]
  );
  return (
    <section aria-labelledby="around">
      <h2 id="around">{t.around}</h2>
      <p>{t.aroundHow}</p>
      {got.error !== undefined && <Failed error={got.error} again={got.again} />}
      {!others && got.loading && <LoadingPlaceholder text={loading} />}
      {others?.length === 0 && <p>{t.aroundNone}</p>}
      {others && others.length > 0 && (
        <InteractiveTable columns={columns} data={others} getRowId={(row) => `${row.device} ${row.version}`} pageSize={10} />
      )}
    </section>
  );
}
