import { PluginPage } from '@grafana/runtime';
import { Alert, LinkButton } from '@grafana/ui';
import { useState } from 'react';
import { useNavigate } from 'react-router';

import { may } from '../may';
import { devicePath, ROOT } from '../paths';
import { words } from '../words';
import { DeviceForm } from './DeviceForm';
import { adding, tried, type DryRun, type Intent } from './model';
import { Plan } from './Plan';
import { EMPTY, entry, type Values } from './values';

export function NewDevice() {
  const { devices: t, form: f, plan, cancel } = words();
  const navigate = useNavigate();
  const [planned, setPlanned] = useState<{ name: string; intent: Intent; dryRun: DryRun }>();
  const writes = may('devices:write');

  const review = async (form: Values) => {
    const made = entry(form);
    const intent = adding(made);
    setPlanned({ name: made.name, intent, dryRun: await tried(intent) });
  };

  return (
    <PluginPage pageNav={{ text: t.newTitle, subTitle: t.newAbout }}>
      {writes ? (
        <DeviceForm
          start={EMPTY}
          isNew
          addressed={false}
          readOnly={false}
          submit={f.review}
          onReview={review}
          extra={
            <LinkButton variant="secondary" fill="outline" href={`${ROOT}/devices`}>
              {cancel}
            </LinkButton>
          }
        />
      ) : (
        <Alert severity="info" title={t.readOnly} />
      )}
      {planned && (
        <Plan
          name={planned.name}
          title={plan.add(planned.name)}
          confirm={plan.save}
          intent={planned.intent}
          dryRun={planned.dryRun}
          onDismiss={() => setPlanned(undefined)}
          onDone={() => navigate(devicePath(planned.name), { state: { done: t.added(planned.name) } })}
        />
      )}
    </PluginPage>
  );
}
