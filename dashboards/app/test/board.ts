import type { Dashboard, Panel, RowPanel } from '@grafana/schema';

/** What JSON writes in the place of an enum's members. */
type Json<T> = T extends string
  ? `${T}`
  : T extends number
    ? number
    : T extends Array<infer U>
      ? Array<Json<U>>
      : T extends object
        ? { [K in keyof T]: Json<T[K]> }
        : T;
type Open = Record<string, unknown>;
type Defaults = NonNullable<Panel['fieldConfig']>['defaults'];

type OwnPanel = Omit<Json<Panel>, 'targets' | 'options' | 'fieldConfig'> & {
  targets: Open[];
  options?: Open;
  fieldConfig: {
    defaults: Omit<Json<Defaults>, 'custom' | 'links' | 'mappings'> & { custom?: Open; links?: Open[]; mappings?: Open[] };
    overrides: Array<{ matcher: { id: string; options?: unknown }; properties: Array<{ id: string; value?: unknown }> }>;
  };
};

/** A dashboard as its file has it, by Grafana's own types; queries, variables and the options of each kind of panel are open there. */
export type Board = Omit<Json<Dashboard>, 'panels' | 'templating' | 'annotations'> & {
  templating: { list: Open[] };
  annotations: { list: Open[] };
  panels: Array<OwnPanel | (Omit<Json<RowPanel>, 'panels'> & { panels: OwnPanel[] })>;
};
