import { config } from '@grafana/runtime';
import { Alert, Badge, Button, InteractiveTable, LinkButton, LoadingPlaceholder, Stack, type Column } from '@grafana/ui';
import { useCallback, useMemo, useState } from 'react';

import { Refused } from '../api';
import { may } from '../may';
import { Failed, told } from '../parts/Failed';
import { Page } from '../parts/Page';
import { useLoaded } from '../use';
import { words } from '../words';
import { answering, receivers, test, type Answering } from './model';

/** Whether the services answer, who they take one for, and whether messages arrive. */
export function Settings() {
  const { settings: t, loading } = words();
  const got = useLoaded('services', answering);
  const columns: Array<Column<Answering>> = useMemo(
    () => [
      { id: 'service', header: t.service, cell: ({ row }) => t.services[row.original.service] },
      {
        id: 'state',
        header: t.state,
        cell: ({ row: { original: one } }) =>
          one.error === undefined ? (
            <Badge text={t.answers} color="green" icon="check" />
          ) : one.error instanceof Refused && [401, 403].includes(one.error.status) ? (
            <>
              <Badge text={t.answers} color="orange" icon="question-circle" /> {t.nobody}
            </>
          ) : (
            <>
              <Badge text={t.doesNot} color="red" icon="exclamation-triangle" /> {told(one.error, false)[0]}
            </>
          ),
      },
      { id: 'version', header: t.version, cell: ({ row }) => row.original.version || '—' },
      {
        id: 'caller',
        header: t.you,
        cell: ({ row: { original: one } }) =>
          one.caller ? (
            <>
              {one.caller.display} <small>({one.caller.subject})</small>
            </>
          ) : (
            '—'
          ),
      },
      { id: 'role', header: words().devices.role, cell: ({ row }) => row.original.caller?.role ?? '—' },
    ],
    [t]
  );
  const platform = (
    <LinkButton variant="secondary" icon="apps" href="/d/sotp-platform">
      {t.platform}
    </LinkButton>
  );
  return (
    <Page title={t.title} about={t.about} actions={platform}>
      <Stack direction="column" gap={3}>
        <section aria-labelledby="services">
          <h2 id="services">{t.servicesTitle}</h2>
          {!got.value && got.loading && <LoadingPlaceholder text={loading} />}
          {got.error !== undefined && <Failed error={got.error} again={got.again} />}
          {got.value && <InteractiveTable columns={columns} data={got.value} getRowId={(row) => row.service} />}
          {got.value && (
            <Button variant="secondary" size="sm" onClick={got.again}>
              {t.askAgain}
            </Button>
          )}
        </section>
        <Receivers />
      </Stack>
    </Page>
  );
}

/** Each receiver of Alertmanager, with a message to try it. */
function Receivers() {
  const { settings: t, loading } = words();
  const got = useLoaded('receivers', receivers);
  const [busy, setBusy] = useState('');
  const [said, say] = useState<{ receiver: string; to: string[] }>();
  const [error, setError] = useState<unknown>();
  const tests = may('settings:test');
  const send = useCallback(async (receiver: string) => {
    setBusy(receiver);
    say(undefined);
    setError(undefined);
    try {
      const by = config.bootData?.user?.login ?? '';
      const text = { summary: t.testSummary(receiver), description: t.testDescription };
      say({ receiver, to: await test(receiver, by, text) });
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy('');
    }
  }, [t]);
  // The same while nothing changes: a button that is drawn anew is not pressed.
  const rows = useMemo(() => got.value?.map((name) => ({ name })), [got.value]);
  const columns: Array<Column<{ name: string }>> = useMemo(() => [
    { id: 'name', header: t.receiver },
    ...(tests
      ? [
          {
            id: 'test',
            header: words().devices.actions,
            cell: ({ row: { original: { name } } }: { row: { original: { name: string } } }) => (
              <Button size="sm" variant="secondary" disabled={busy !== ''} onClick={() => send(name)} aria-label={t.testOf(name)}>
                {t.test}
              </Button>
            ),
          },
        ]
      : []),
  ], [t, tests, busy, send]);
  const reached = said?.to.includes(said.receiver);
  return (
    <section aria-labelledby="receivers">
      <h2 id="receivers">{t.receiversTitle}</h2>
      <p>{t.receiversAbout}</p>
      {!tests && <Alert severity="info" title={t.readOnly} />}
      <div role="status">
        {said && reached && <Alert severity="success" title={t.tested(said.receiver)}>{t.testedHow}</Alert>}
        {said && !reached && (
          <Alert severity="warning" title={t.elsewhere(said.receiver, said.to.join(', ') || words().none)}>
            {t.elsewhereHow}
          </Alert>
        )}
      </div>
      {error !== undefined && <Failed error={error} changing />}
      {got.error !== undefined && <Failed error={got.error} again={got.again} />}
      {!got.value && got.loading && <LoadingPlaceholder text={loading} />}
      {rows && <InteractiveTable columns={columns} data={rows} getRowId={(row) => row.name} />}
    </section>
  );
}
