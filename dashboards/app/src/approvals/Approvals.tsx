import { dateTimeFormatTimeAgo } from '@grafana/data';
import {
  Alert,
  Button,
  EmptyState,
  Field,
  InteractiveTable,
  LoadingPlaceholder,
  Modal,
  Stack,
  TextArea,
  TextLink,
  type Column,
} from '@grafana/ui';
import { useEffect, useMemo, useRef, useState } from 'react';

import { newKey } from '../api';
import { may } from '../may';
import { Failed } from '../parts/Failed';
import { Page } from '../parts/Page';
import { When } from '../parts/When';
import { devicePath } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { decide, recent, waiting, type Job } from './model';

/** How often it is looked whether another plan waits, in milliseconds. */
const LOOK = 5000;

const what = (job: Job) => `${job.runbook} · ${job.device}${job.port ? ` ${job.port}` : ''}`;

/** Repairs that wait for somebody, and those that were. */
export function Approvals() {
  const { approvals: t, loading } = words();
  const jobs = useLoaded('waiting', waiting);
  const past = useLoaded('recent', recent);
  const [asked, ask] = useState<{ job: Job; approve: boolean }>();
  const [said, say] = useState<string>();
  const decides = may('approvals:decide');
  const { again: lookForWaiting } = jobs;
  const { again: lookAtPast } = past;
  const open = asked !== undefined;
  useEffect(() => {
    // The plan that somebody is looking at does not change before their eyes.
    if (open) {
      return;
    }
    const timer = setInterval(() => {
      lookForWaiting();
      lookAtPast();
    }, LOOK);
    return () => clearInterval(timer);
  }, [lookForWaiting, lookAtPast, open]);

  const columns: Array<Column<Job>> = useMemo(
    () => [
      { id: 'updated', header: words().time, cell: ({ row }) => <When at={row.original.updated} /> },
      { id: 'runbook', header: t.plan, cell: ({ row }) => what(row.original) },
      { id: 'state', header: t.state, cell: ({ row }) => t.states[row.original.state] ?? row.original.state.replaceAll('_', ' ') },
      { id: 'reason', header: t.reason },
      { id: 'approver', header: words().who, cell: ({ row }) => row.original.approver?.display ?? '' },
    ],
    [t]
  );

  return (
    <Page title={t.title} about={t.about}>
      <Stack direction="column" gap={3}>
        {said && <Alert severity="success" title={said} onRemove={() => say(undefined)} />}
        {!decides && <Alert severity="info" title={t.readOnly} />}
        {jobs.error !== undefined && <Failed error={jobs.error} again={jobs.again} />}
        {!jobs.value && jobs.loading && <LoadingPlaceholder text={loading} />}
        {jobs.value?.length === 0 && (
          <EmptyState variant="completed" message={t.none}>
            {t.noneHow}
          </EmptyState>
        )}
        {jobs.value?.map((job) => (
          <section key={job.id} aria-label={what(job)}>
            <h2>{what(job)}</h2>
            <p>
              {t.reason}: {job.reason}
              {job.expires ? ` · ${t.expires} ${dateTimeFormatTimeAgo(job.expires)}` : ''} ·{' '}
              <TextLink inline href={devicePath(job.device)}>
                {job.device}
              </TextLink>
            </p>
            <Detail job={job} />
            {decides && (
              <Stack gap={1}>
                <Button onClick={() => ask({ job, approve: true })}>{t.approve}</Button>
                <Button variant="destructive" fill="outline" onClick={() => ask({ job, approve: false })}>
                  {t.refuse}
                </Button>
              </Stack>
            )}
          </section>
        ))}
        <section aria-labelledby="decided">
          <h2 id="decided">{t.decided}</h2>
          {past.error !== undefined && jobs.error === undefined && <Failed error={past.error} again={past.again} />}
          {past.value?.length === 0 && <p>{words().none}</p>}
          {past.value && past.value.length > 0 && (
            <InteractiveTable columns={columns} data={past.value} getRowId={(row) => row.id} pageSize={20} />
          )}
        </section>
      </Stack>
      {asked && (
        <Decision
          {...asked}
          onDismiss={() => ask(undefined)}
          onDone={() => {
            say(asked.approve ? t.approved : t.refused);
            ask(undefined);
            jobs.again();
            past.again();
          }}
          onReload={() => {
            ask(undefined);
            jobs.again();
          }}
        />
      )}
    </Page>
  );
}

/** The lines that would be typed, those that would take them back, and what was seen before. */
function Detail({ job }: { job: Job }) {
  const { approvals: t } = words();
  const lines = job.lines ?? job.plan?.steps.flatMap((step) => step.lines) ?? [];
  const back = job.plan?.rollback?.flatMap((step) => step.lines) ?? [];
  return (
    <>
      <h3>{t.plan}</h3>
      <pre tabIndex={0} aria-label={t.plan}>
        {lines.join('\n')}
      </pre>
      {back.length > 0 && (
        <>
          <h3>{t.back}</h3>
          <pre tabIndex={0} aria-label={t.back}>
            {back.join('\n')}
          </pre>
        </>
      )}
      {job.plan?.evidence !== undefined && (
        <>
          <h3>{t.checks}</h3>
          <pre tabIndex={0} aria-label={t.checks}>
            {Object.entries(job.plan.evidence)
              .map(([question, said]) => `${question}: ${said}`)
              .join('\n')}
          </pre>
        </>
      )}
    </>
  );
}

interface DecisionProps {
  job: Job;
  approve: boolean;
  onDone: () => void;
  onDismiss: () => void;
  onReload: () => void;
}

function Decision({ job, approve, onDone, onDismiss, onReload }: DecisionProps) {
  const { approvals: t, cancel } = words();
  const key = useRef(newKey());
  const [reason, setReason] = useState('');
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await decide(job, approve, reason.trim(), key.current);
      onDone();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <Modal title={approve ? t.approveTitle(what(job)) : t.refuseTitle(what(job))} isOpen onDismiss={onDismiss}>
      {error !== undefined && <Failed error={error} changing again={onReload} />}
      <Detail job={job} />
      {!approve && (
        <Field label={t.why} description={t.whyHow} htmlFor="reason" noMargin>
          <TextArea id="reason" value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        </Field>
      )}
      <Modal.ButtonRow>
        <Button variant="secondary" fill="outline" onClick={onDismiss}>
          {cancel}
        </Button>
        <Button variant={approve ? 'primary' : 'destructive'} disabled={busy} onClick={go}>
          {approve ? t.approve : t.refuse}
        </Button>
      </Modal.ButtonRow>
    </Modal>
  );
}
