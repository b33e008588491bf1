import { dateTimeFormat } from '@grafana/data';
import { Badge, InteractiveTable, LoadingPlaceholder, type Column } from '@grafana/ui';
import { useMemo } from 'react';

import { Failed } from '../parts/Failed';
import { useLoaded } from '../use';
import { words } from '../words';
import { rules, type Verdict } from './model';

/** The rules that a device breaks, since when and by whom; that the others hold is one sentence. */
export function Rules({ device }: { device: string }) {
  const { configuration: t, loading } = words();
  const got = useLoaded(`rules ${device}`, (signal) => rules(device, signal));
  const broken = useMemo(() => got.value?.filter((one) => one.breaches.length > 0) ?? [], [got.value]);
  const columns: Array<Column<Verdict>> = useMemo(
    () => [
      {
        id: 'title',
        header: t.rule,
        cell: ({ row: { original: one } }) => (
          <>
            {one.title}
            <br />
            <small>{one.why}</small>
          </>
        ),
      },
      {
        id: 'severity',
        header: t.severity,
        cell: ({ row: { original: one } }) => (
          <Badge text={one.severity} color={one.waiver ? 'purple' : one.severity === 'critical' ? 'red' : 'orange'} />
        ),
      },
      {
        id: 'broken',
        header: t.broken,
        cell: ({ row: { original: one } }) => (
          <>
            {one.breaches.slice(0, 5).map((breach, at) => (
              <div key={at}>
                {breach.message}
                {breach.place.length > 0 && <code> {breach.place.join(' › ')}</code>}
              </div>
            ))}
            {one.fix && <small>{t.fix(one.fix)}</small>}
            {one.waiver && <div>{t.waived(one.waiver.owner, one.waiver.until)}</div>}
          </>
        ),
      },
      { id: 'since', header: t.since, cell: ({ row }) => since(row.original) },
    ],
    [t]
  );
  return (
    <section aria-labelledby="rules">
      <h2 id="rules">{t.rules}</h2>
      {got.error !== undefined && <Failed error={got.error} again={got.again} />}
      {!got.value && got.loading && <LoadingPlaceholder text={loading} />}
      {got.value && broken.length === 0 && <p>{got.value.length === 0 ? t.rulesNone : t.rulesHold(got.value.length)}</p>}
      {broken.length > 0 && <InteractiveTable columns={columns} data={broken} getRowId={(row) => row.rule} pageSize={10} />}
    </section>
  );
}

function since({ introduced }: Verdict): string {
  const { configuration: t } = words();
  if (!introduced) {
    return '—';
  }
  const when = dateTimeFormat(introduced.at * 1000);
  return [introduced.or_before ? `${when} ${t.orBefore}` : when, introduced.by].filter(Boolean).join(' · ');
}
