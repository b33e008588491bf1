import { Button, InteractiveTable, LoadingPlaceholder, Stack, type Column } from '@grafana/ui';
import { useMemo, useState } from 'react';

import { Refused } from '../api';
import { may } from '../may';
import { Failed } from '../parts/Failed';
import { When } from '../parts/When';
import { useLoaded } from '../use';
import { words } from '../words';
import { changed, history, restoring, tried, type DryRun, type Intent, type Version } from './model';
import { Changes, Plan } from './Plan';

interface Props {
  name: string;
  /** Changes with the device, so that a change of a moment ago is listed. */
  tag: string;
  onRestored: () => void;
}

/** Who changed the device, when, and what; and the way back. */
export function History({ name, tag, onRestored }: Props) {
  const { history: t, plan, time, who } = words();
  const versions = useLoaded(`history ${name} ${tag}`, (signal) => history(name, signal));
  const [shown, show] = useState<string>();
  const [planned, setPlanned] = useState<{ intent: Intent; dryRun: DryRun }>();
  const [error, setError] = useState<unknown>();
  const restores = may('groups:write');
  const list = useMemo(() => versions.value ?? [], [versions.value]);

  const restore = async (version: string) => {
    setError(undefined);
    const intent = restoring(name, version);
    try {
      setPlanned({ intent, dryRun: await tried(intent) });
    } catch (refused) {
      setError(refused);
    }
  };

  const columns: Array<Column<Version>> = useMemo(
    () => [
      { id: 'time', header: time, cell: ({ row }) => <When at={row.original.time} /> },
      { id: 'author', header: who },
      { id: 'message', header: t.message },
      { id: 'version', header: t.version, cell: ({ row }) => <code>{row.original.version.slice(0, 10)}</code> },
      {
        id: 'actions',
        header: words().devices.actions,
        cell: ({ row: { original: version, index } }) => (
          <Stack gap={1}>
            <Button
              size="sm"
              variant="secondary"
              fill="outline"
              aria-expanded={shown === version.version}
              onClick={() => show(shown === version.version ? undefined : version.version)}
            >
              {shown === version.version ? t.hide : t.show}
            </Button>
            {restores && index > 0 && (
              <Button size="sm" variant="secondary" fill="outline" onClick={() => restore(version.version)}>
                {t.restore}
              </Button>
            )}
          </Stack>
        ),
      },
    ],
    [shown, restores, t, time, who]
  );

  const plain = versions.error instanceof Refused && versions.error.kind === '/problems/read-only';
  const at = list.findIndex((version) => version.version === shown);
  const one = list[at];
  return (
    <section aria-labelledby="history">
      <h2 id="history">{t.title}</h2>
      <p>{plain ? t.off : t.about}</p>
      {versions.error !== undefined && !plain && <Failed error={versions.error} again={versions.again} />}
      {error !== undefined && <Failed error={error} changing />}
      {versions.loading && !versions.value && <LoadingPlaceholder text={words().loading} />}
      {versions.value && list.length === 0 && <p>{t.none}</p>}
      {list.length > 0 && <InteractiveTable columns={columns} data={list} getRowId={(row) => row.version} pageSize={10} />}
      {one && <Shown name={name} version={one} before={list[at + 1]} />}
      {planned && (
        <Plan
          name={name}
          title={plan.restore(name)}
          confirm={plan.doRestore}
          intent={planned.intent}
          dryRun={planned.dryRun}
          onDismiss={() => setPlanned(undefined)}
          onDone={() => {
            setPlanned(undefined);
            onRestored();
          }}
        />
      )}
    </section>
  );
}

function Shown({ name, version, before }: { name: string; version: Version; before: Version | undefined }) {
  const { history: t } = words();
  const key = `${version.version} ${before?.version}`;
  const changes = useLoaded(key, (signal) => changed(name, version, before, signal));
  if (changes.error !== undefined) {
    return <Failed error={changes.error} again={changes.again} />;
  }
  if (!changes.value) {
    return <p>{changes.loading ? words().loading : `${t.message}: ${version.message}`}</p>;
  }
  return <Changes changes={changes.value} name={name} />;
}
