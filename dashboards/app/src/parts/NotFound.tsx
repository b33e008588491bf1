import { PluginPage } from '@grafana/runtime';
import { EmptyState, LinkButton } from '@grafana/ui';

import { ROOT } from '../paths';
import { words } from '../words';

export function NotFound() {
  const { errors, devices } = words();
  return (
    <PluginPage pageNav={{ text: errors.notFound }}>
      <EmptyState
        variant="not-found"
        message={errors.notFound}
        button={<LinkButton href={`${ROOT}/devices`}>{devices.toList}</LinkButton>}
      >
        {errors.notFoundHow}
      </EmptyState>
    </PluginPage>
  );
}
