import { dateTimeFormat } from '@grafana/data';
import {
  Alert,
  Button,
  Checkbox,
  EmptyState,
  Field,
  Input,
  InteractiveTable,
  LoadingPlaceholder,
  Stack,
  type Column,
} from '@grafana/ui';
import { type FormEvent, useEffect, useMemo, useRef, useState } from 'react';

import { newKey, proxied } from '../api';
import { may } from '../may';
import { Failed } from '../parts/Failed';
import { Page } from '../parts/Page';
import { useLoaded } from '../use';
import { words } from '../words';
import { build, job, lastMonth, reports, type Report } from './model';

/** How often it is looked whether a report is made, in milliseconds. */
const LOOK = 1000;

const percent = (ratio: number | null) => (ratio === null ? '—' : `${(100 * ratio).toFixed(3)} %`);

/** The reports of past months: to read, to have made, to have sent. */
export function Reports() {
  const { reports: t, loading } = words();
  const got = useLoaded('reports', reports);
  const [made, setMade] = useState<string>();
  const builds = may('reports:build');

  const columns: Array<Column<Report>> = useMemo(
    () => [
      // 2026-11 is one word, and no line ends at its hyphen.
      { id: 'month', header: t.month, cell: ({ row }) => <span style={{ whiteSpace: 'nowrap' }}>{row.original.month}</span> },
      {
        id: 'availability',
        header: t.availability,
        cell: ({ row: { original: one } }) => (
          <>
            {percent(one.availability_ratio)}
            <br />
            <small>{t.target(percent(one.target_ratio))}</small>
          </>
        ),
      },
      { id: 'incidents', header: t.incidents },
      { id: 'mail', header: t.mail, cell: ({ row }) => mail(row.original) },
      {
        id: 'files',
        header: t.files,
        cell: ({ row: { original: one } }) => (
          <Stack gap={1} wrap="wrap">
            {one.files.map(({ name }) => (
              <a key={name} href={proxied('reporter', `api/v1/reports/${one.month}/files/${encodeURIComponent(name)}`)} download target="_self" className="external-link">
                {name}
              </a>
            ))}
          </Stack>
        ),
      },
    ],
    [t]
  );

  return (
    <Page title={t.title} about={t.about}>
      <Stack direction="column" gap={3}>
        {!builds && <Alert severity="info" title={t.readOnly} />}
        {builds && <Order onOrdered={setMade} />}
        {made && <Progress id={made} onDone={got.again} />}
        {got.error !== undefined && <Failed error={got.error} again={got.again} />}
        {!got.value && got.loading && <LoadingPlaceholder text={loading} />}
        {got.value?.length === 0 && (
          <EmptyState variant="call-to-action" message={t.none}>
            {t.noneHow}
          </EmptyState>
        )}
        {got.value?.some((one) => one.missing.length > 0) && <Incomplete reports={got.value} />}
        {got.value && got.value.length > 0 && (
          <InteractiveTable columns={columns} data={got.value} getRowId={(row) => row.month} pageSize={12} />
        )}
      </Stack>
    </Page>
  );
}

function mail({ mail }: Report): string {
  const { reports: t } = words();
  if (!mail) {
    return t.notSent;
  }
  if (mail.sent) {
    return t.sent(dateTimeFormat(mail.sent), mail.to.join(', '));
  }
  return mail.error ? t.sendFails(mail.error) : t.waits;
}

/** What was not answered when a report was made: its figures leave that out. */
function Incomplete({ reports }: { reports: Report[] }) {
  const { reports: t } = words();
  return (
    <Alert severity="warning" title={t.incomplete}>
      <ul>
        {reports.flatMap((one) =>
          one.missing.slice(0, 5).map((part, at) => (
            <li key={`${one.month} ${at}`}>
              {one.month}: {part.what} – {part.why}
            </li>
          ))
        )}
      </ul>
    </Alert>
  );
}

function Order({ onOrdered }: { onOrdered: (id: string) => void }) {
  const { reports: t } = words();
  const [month, setMonth] = useState(() => lastMonth(new Date()));
  const [send, setSend] = useState(false);
  const [incomplete, setIncomplete] = useState(false);
  const [wrong, setWrong] = useState<string>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const key = useRef(newKey());
  const changed = () => {
    key.current = newKey();
    setError(undefined);
    setWrong(undefined);
  };
  const go = async (event: FormEvent) => {
    event.preventDefault();
    if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(month)) {
      setWrong(t.monthHow);
      return;
    }
    setBusy(true);
    setError(undefined);
    try {
      const id = await build({ month, send, incomplete }, key.current);
      key.current = newKey();
      onOrdered(id);
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={go} noValidate aria-label={t.make}>
      <Stack direction="column" gap={2} alignItems="flex-start">
        <Field label={t.month} description={t.monthHow} htmlFor="month" invalid={wrong !== undefined} error={wrong} noMargin>
          <Input
            id="month"
            width={20}
            value={month}
            aria-invalid={wrong !== undefined}
            autoComplete="off"
            onChange={(event) => {
              changed();
              setMonth(event.currentTarget.value);
            }}
          />
        </Field>
        <Checkbox
          label={t.send}
          description={t.sendHow}
          value={send}
          onChange={(event) => {
            changed();
            setSend(event.currentTarget.checked);
          }}
        />
        <Checkbox
          label={t.anyway}
          description={t.anywayHow}
          value={incomplete}
          onChange={(event) => {
            changed();
            setIncomplete(event.currentTarget.checked);
          }}
        />
        {error !== undefined && <Failed error={error} changing />}
        <div>
          <Button type="submit" disabled={busy}>
            {t.make}
          </Button>
        </div>
      </Stack>
    </form>
  );
}

/** How far a report is that was asked for. */
function Progress({ id, onDone }: { id: string; onDone: () => void }) {
  const { reports: t } = words();
  const got = useLoaded(`job ${id}`, (signal) => job(id, signal));
  const state = got.value?.state;
  const { again } = got;
  useEffect(() => {
    if (state === 'done') {
      onDone();
    }
    if (state !== 'running') {
      return;
    }
    const timer = setInterval(again, LOOK);
    return () => clearInterval(timer);
  }, [state, again, onDone]);
  return (
    <div role="status">
      {got.error !== undefined && <Failed error={got.error} again={got.again} />}
      {state === 'running' && <p>{t.running(got.value?.month ?? '')}</p>}
      {state === 'done' && <Alert severity="success" title={t.done(got.value?.month ?? '')}>{got.value?.outcome}</Alert>}
      {state === 'failed' && <Alert severity="error" title={t.failed(got.value?.month ?? '')}>{got.value?.outcome}</Alert>}
    </div>
  );
}
