import { Alert, Badge, Button, InteractiveTable, LoadingPlaceholder, Stack, TextLink, type Column } from '@grafana/ui';
import { useMemo, useState } from 'react';
import { useLocation } from 'react-router';

import { tried, type DryRun, type Intent } from '../devices/model';
import { Plan } from '../devices/Plan';
import { may } from '../may';
import { Failed } from '../parts/Failed';
import { Page } from '../parts/Page';
import { Sideways } from '../parts/Sideways';
import { When } from '../parts/When';
import { devicePath } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { all, ending, planning, removing, state, type Planned, type State, type Target, type Window } from './model';
import { WindowForm } from './WindowForm';

const LOOK: Record<State, { color: 'purple' | 'blue' | 'darkgrey'; icon: 'wrench' | 'calendar-alt' | 'check' }> = {
  now: { color: 'purple', icon: 'wrench' },
  planned: { color: 'blue', icon: 'calendar-alt' },
  over: { color: 'darkgrey', icon: 'check' },
};

interface Review {
  name: string;
  title: string;
  said: string;
  intent: Intent;
  dryRun: DryRun;
}

/** Planned work of devices and groups: to plan, to begin and to end. */
export function Maintenance() {
  const { maintenance: t, plan, devices: d, loading } = words();
  const asked = new URLSearchParams(useLocation().search).get('device') ?? '';
  const found = useLoaded('maintenance', all);
  const [review, setReview] = useState<Review>();
  const [said, say] = useState<string>();
  const [error, setError] = useState<unknown>();
  const writes = may('devices:write');

  const look = async (target: Target, title: string, said: string, making: Promise<Intent>) => {
    setError(undefined);
    say(undefined);
    const intent = await making;
    setReview({ name: target.name, title, said, intent, dryRun: await tried(intent) });
  };
  const short = (one: Planned, title: string, said: string, making: Promise<Intent>) =>
    look(one, title, said, making).catch(setError);

  const columns: Array<Column<Planned>> = useMemo(() => {
    const mayChange = ({ kind }: Target) => may(kind === 'groups' ? 'groups:write' : 'devices:write');
    return [
      {
        id: 'name',
        header: t.of,
        cell: ({ row: { original: one } }) =>
          one.kind === 'groups' ? <>{t.group(one.name)}</> : <TextLink href={devicePath(one.name)}>{one.name}</TextLink>,
      },
      {
        id: 'state',
        header: t.state,
        cell: ({ row: { original: one } }) => {
          const now = state(one, Date.now());
          return <Badge text={t.states[now]} {...LOOK[now]} />;
        },
      },
      { id: 'start', header: t.begins, cell: ({ row }) => <When at={row.original.start} /> },
      { id: 'end', header: t.ends, cell: ({ row }) => <When at={row.original.end} /> },
      { id: 'reason', header: t.reason, cell: ({ row }) => <>{row.original.reason ?? '—'}</> },
      {
        id: 'actions',
        header: d.actions,
        cell: ({ row: { original: one } }) => {
          const now = state(one, Date.now());
          const button = (text: string, act: () => void) => (
            <Button size="sm" variant="secondary" fill="outline" aria-label={`${text}: ${one.name} ${one.start}`} onClick={act}>
              {text}
            </Button>
          );
          if (!mayChange(one)) {
            return null;
          }
          return now === 'now'
            ? button(t.endNow, () => short(one, t.endTitle(one.name), t.ended(one.name), ending(one, Date.now())))
            : button(now === 'planned' ? t.cancel : t.remove, () =>
                short(one, now === 'planned' ? t.cancelTitle(one.name) : t.removeTitle(one.name), t.removed(one.name), removing(one))
              );
        },
      },
    ];
  }, [t, d]);

  const list = found.value;
  return (
    <Page title={t.title} about={t.about}>
      <Stack direction="column" gap={2}>
        {said && <Alert severity="success" title={said} onRemove={() => say(undefined)} />}
        {error !== undefined && <Failed error={error} changing again={() => setError(undefined)} />}
        {!writes && <Alert severity="info" title={t.readOnly} />}
        {found.error !== undefined && <Failed error={found.error} again={found.again} />}
        {!list && found.loading && <LoadingPlaceholder text={loading} />}
        {list && writes && (
          <WindowForm
            device={asked}
            devices={list.devices}
            groups={may('groups:write') ? list.groups : []}
            onReview={(target: Target, windows: Window[]) =>
              look(target, t.planTitle(target.name), t.plannedOf(target.name), planning(target, windows))
            }
          />
        )}
        {list && (
          <section aria-labelledby="windows">
            <h2 id="windows">{t.list}</h2>
            {list.windows.length === 0 ? (
              <p>{t.none}</p>
            ) : (
              <Sideways>
                <InteractiveTable
                  columns={columns}
                  data={list.windows}
                  getRowId={(one) => `${one.kind} ${one.name} ${one.at}`}
                  pageSize={50}
                />
              </Sideways>
            )}
          </section>
        )}
      </Stack>
      {review && (
        <Plan
          name={review.name}
          title={review.title}
          confirm={plan.save}
          intent={review.intent}
          dryRun={review.dryRun}
          onDismiss={() => setReview(undefined)}
          onReload={() => {
            setReview(undefined);
            found.again();
          }}
          onDone={() => {
            say(review.said);
            setReview(undefined);
            found.again();
          }}
        />
      )}
    </Page>
  );
}
