import {
  Alert,
  Button,
  Field,
  Input,
  InteractiveTable,
  LinkButton,
  LoadingPlaceholder,
  RadioButtonGroup,
  Stack,
  TextLink,
  type Column,
} from '@grafana/ui';
import { useMemo, useState } from 'react';
import { useLocation } from 'react-router';

import type { Service } from '../api';
import { Failed } from '../parts/Failed';
import { Page } from '../parts/Page';
import { Sideways } from '../parts/Sideways';
import { When } from '../parts/When';
import { tracePath } from '../paths';
import { useLoaded, useRested } from '../use';
import { words } from '../words';
import { page, RECORDING, rows, verified, type Entry } from './model';

/** Who did what, when, and what came of it; and whether the log of it is whole. */
export function Audit() {
  const { audit: t, settings } = words();
  const asked = new URLSearchParams(useLocation().search);
  const [service, setService] = useState<Service>(RECORDING.find((one) => one === asked.get('service')) ?? 'inventory');
  const [search, setSearch] = useState(asked.get('find') ?? '');
  const rested = useRested(search);
  const grafana = (
    <LinkButton variant="secondary" icon="apps" href="/d/sotp-audit">
      {t.dashboard}
    </LinkButton>
  );
  return (
    <Page title={t.title} about={t.about} actions={grafana}>
      <Stack direction="column" gap={3}>
        <Stack gap={2} wrap="wrap">
          <Field label={t.service} noMargin>
            <Sideways>
              <RadioButtonGroup
                aria-label={t.service}
                options={RECORDING.map((value) => ({ value, label: settings.services[value] }))}
                value={service}
                onChange={setService}
              />
            </Sideways>
          </Field>
          <Field label={words().devices.search} htmlFor="find" noMargin>
            <Input
              id="find"
              type="search"
              placeholder={t.searchHint}
              value={search}
              width={40}
              onChange={(event) => setSearch(event.currentTarget.value)}
            />
          </Field>
        </Stack>
        <Chain key={service} service={service} />
        <Records key={`${service} ${rested}`} service={service} find={rested} />
      </Stack>
    </Page>
  );
}

/** Whether the chain is whole; it is read from its beginning when somebody asks. */
function Chain({ service }: { service: Service }) {
  const [asked, ask] = useState(0);
  const { audit: t } = words();
  return (
    <section aria-label={t.chain}>
      <Button variant="secondary" icon="shield" onClick={() => ask(asked + 1)}>
        {t.verify}
      </Button>
      {asked > 0 && <Verdict key={asked} service={service} />}
    </section>
  );
}

function Verdict({ service }: { service: Service }) {
  const { audit: t, loading } = words();
  const got = useLoaded(`verify ${service}`, (signal) => verified(service, signal));
  if (got.error !== undefined) {
    return <Failed error={got.error} again={got.again} />;
  }
  if (!got.value) {
    return <LoadingPlaceholder text={loading} />;
  }
  const { whole, records, head, findings, lost } = got.value;
  return (
    <div role="status" style={{ marginTop: 8 }}>
      <Alert severity={whole ? (lost.length > 0 ? 'warning' : 'success') : 'error'} title={whole ? t.whole(records) : t.notWhole}>
        {findings.concat(lost).map((line) => (
          <p key={line}>{line}</p>
        ))}
        {head.sequence > 0 && (
          <p>
            {t.head(head.sequence)} <code style={{ overflowWrap: 'anywhere', whiteSpace: 'normal' }}>{head.hash}</code>
          </p>
        )}
      </Alert>
    </div>
  );
}

function Records({ service, find }: { service: Service; find: string }) {
  const { audit: t, loading, time, who } = words();
  // Where each page begins; older ones are reached one after the other.
  const [pages, turn] = useState<Array<number | undefined>>([undefined]);
  const before = pages[pages.length - 1];
  const got = useLoaded(`audit ${before}`, (signal) => page(service, find, before, signal));
  const list = useMemo(() => rows(got.value?.records ?? []), [got.value]);
  const columns: Array<Column<Entry>> = useMemo(
    () => [
      { id: 'time', header: time, cell: ({ row }) => <When at={row.original.time} /> },
      { id: 'display', header: who, cell: ({ row }) => person(row.original) },
      {
        id: 'verb',
        header: t.what,
        cell: ({ row: { original: entry } }) => (
          <>
            <code>{entry.verb ?? entry.event}</code> {entry.object ?? entry.reason}
          </>
        ),
      },
      { id: 'outcome', header: t.outcome, cell: ({ row }) => outcome(row.original) },
      {
        id: 'trace',
        header: t.trace,
        cell: ({ row: { original: entry } }) =>
          entry.trace_id ? (
            <TextLink href={tracePath(entry.trace_id)}>{entry.trace_id.slice(0, 8)}</TextLink>
          ) : (
            '—'
          ),
      },
    ],
    [t, time, who]
  );
  if (got.error !== undefined) {
    return <Failed error={got.error} again={got.again} />;
  }
  if (!got.value) {
    return <LoadingPlaceholder text={loading} />;
  }
  const older = got.value.before;
  return (
    <section aria-label={t.title}>
      {list.length === 0 && <p>{find ? t.noneFits : t.none}</p>}
      {list.length > 0 && <InteractiveTable columns={columns} data={list} getRowId={(row) => String(row.seq)} />}
      <Stack gap={1}>
        {pages.length > 1 && (
          <Button variant="secondary" onClick={() => turn(pages.slice(0, -1))}>
            {t.newer}
          </Button>
        )}
        {older !== null && (
          <Button variant="secondary" onClick={() => turn([...pages, older])}>
            {t.older}
          </Button>
        )}
      </Stack>
    </section>
  );
}

function person(entry: Entry): string {
  const { audit: t } = words();
  if (entry.via === 'none') {
    return t.nobody;
  }
  if (entry.via === 'service') {
    return t.itself;
  }
  return entry.display ?? entry.by ?? t.itself;
}

/** What came of it, in a word, with what the service said. */
function outcome(entry: Entry): string {
  const { audit: t } = words();
  const word = entry.event === 'ended' ? (t.outcomes[entry.outcome ?? ''] ?? entry.outcome ?? '') : t.events[entry.event];
  const said = entry.detail && entry.event === 'refused' ? `: ${entry.detail}` : '';
  return `${word}${said}`;
}
