declare module 'grafana-runtime-internal' {
  import type { PluginPageType } from '@grafana/runtime';
  export function setPluginPage(component: PluginPageType): void;
}

declare module 'systemjs/dist/system.js' {}

declare module 'react-router-dom' {
  import type { FunctionComponent, ReactNode } from 'react';
  export const Router: FunctionComponent<{ history: unknown; children: ReactNode }>;
}
