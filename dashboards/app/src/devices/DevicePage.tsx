import { PluginPage } from '@grafana/runtime';
import { Alert, Button, EmptyState, LinkButton, LoadingPlaceholder, Stack } from '@grafana/ui';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router';

import { Refused } from '../api';
import { may } from '../may';
import { Done } from '../parts/Done';
import { Failed } from '../parts/Failed';
import { configurationPath, consolePath, devicePath, maintenancePath, ROOT } from '../paths';
import { useLoaded } from '../use';
import { words } from '../words';
import { DeviceForm } from './DeviceForm';
import { History } from './History';
import { changing, deleting, tried, written, type DryRun, type Intent } from './model';
import { Plan } from './Plan';
import { patch, values, type Values } from './values';

interface Planned {
  title: string;
  confirm: string;
  intent: Intent;
  dryRun: DryRun;
  done: { to: string; said: string };
  typed?: string;
  hint?: string;
}

/** One device: what is written of it, to change and to delete, and its history. */
export function DevicePage() {
  const name = useParams().name ?? '';
  const { devices: t, form: f, plan, loading } = words();
  const navigate = useNavigate();
  const device = useLoaded(`device ${name}`, (signal) => written(name, signal));
  const [planned, setPlanned] = useState<Planned>();
  const [error, setError] = useState<unknown>();
  const writes = may('devices:write');
  const got = device.value;

  const reload = () => {
    setPlanned(undefined);
    setError(undefined);
    device.again();
  };

  const review = async (form: Values) => {
    if (!got) {
      return;
    }
    const intent = changing(name, patch(got.data, form), got.etag ?? '');
    setPlanned({
      title: plan.change(name),
      confirm: plan.save,
      intent,
      dryRun: await tried(intent),
      done: { to: devicePath(name), said: t.changed(name) },
    });
  };

  const remove = async () => {
    if (!got) {
      return;
    }
    setError(undefined);
    const intent = deleting(name, got.etag ?? '');
    try {
      setPlanned({
        title: plan.remove(name),
        confirm: plan.doRemove,
        hint: plan.removeHow,
        intent,
        dryRun: await tried(intent),
        typed: name,
        done: { to: `${ROOT}/devices`, said: t.deleted(name) },
      });
    } catch (refused) {
      setError(refused);
    }
  };

  const links = (
    <Stack gap={1} wrap="wrap">
      <LinkButton variant="secondary" icon="apps" href={`/d/sotp-device?var-device=${encodeURIComponent(name)}`}>
        {t.dashboard}
      </LinkButton>
      <LinkButton variant="secondary" href={maintenancePath(name)}>
        {t.maintenance}
      </LinkButton>
      <LinkButton variant="secondary" href={consolePath(name)}>
        {t.console}
      </LinkButton>
      <LinkButton variant="secondary" href={configurationPath(name)}>
        {t.configuration}
      </LinkButton>
    </Stack>
  );

  if (device.error instanceof Refused && device.error.status === 404 && device.error.detail.startsWith('no device')) {
    return (
      <PluginPage pageNav={{ text: name }}>
        <EmptyState
          variant="not-found"
          message={t.gone(name)}
          button={<LinkButton href={`${ROOT}/devices`}>{t.toList}</LinkButton>}
        >
          {t.goneHow}
        </EmptyState>
      </PluginPage>
    );
  }

  return (
    <PluginPage pageNav={{ text: name }} actions={links}>
      <Done />
      {device.error !== undefined && <Failed error={device.error} again={reload} />}
      {error !== undefined && <Failed error={error} changing again={reload} />}
      {!writes && <Alert severity="info" title={t.readOnly} />}
      {!got && device.loading && <LoadingPlaceholder text={loading} />}
      {got && (
        <Stack direction="column" gap={4}>
          <DeviceForm
            // A newer state begins the form anew.
            key={got.etag}
            start={values(got.data)}
            isNew={false}
            addressed={got.data.addresses !== undefined}
            readOnly={!writes}
            submit={f.review}
            onReview={review}
            extra={
              <Button type="button" variant="destructive" fill="outline" onClick={remove}>
                {f.remove}
              </Button>
            }
          />
          <History name={name} onRestored={() => navigate(devicePath(name), { state: { done: t.restored(name) } })} tag={got.etag ?? ''} />
        </Stack>
      )}
      {planned && (
        <Plan
          {...planned}
          name={name}
          destructive={planned.typed !== undefined}
          onDismiss={() => setPlanned(undefined)}
          onReload={reload}
          onDone={() => {
            reload();
            navigate(planned.done.to, { state: { done: planned.done.said } });
          }}
        />
      )}
    </PluginPage>
  );
}
