import { hasPermission } from '@grafana/runtime';

type Action =
  | 'devices:read'
  | 'devices:write'
  | 'groups:write'
  | 'jobs:read'
  | 'commands:run'
  | 'approvals:read'
  | 'approvals:decide'
  | 'configuration:read'
  | 'reports:read'
  | 'reports:build'
  | 'audit:read'
  | 'settings:read'
  | 'settings:test';

/** Whether Grafana gave this person the action. The services decide again by themselves; this only hides buttons. */
export function may(action: Action): boolean {
  return hasPermission(`sotp-app.${action}`);
}
