/**
 * What stands around the app in Grafana, as far as the app can tell: shared modules by SystemJS, the two routers over
 * one history, theme, page chrome, navigation and the settings of the signed-in person. It is served by the tests'
 * Grafana only.
 */
import 'systemjs/dist/system.js';

import * as emotionCss from '@emotion/css';
import * as emotionReact from '@emotion/react';
import * as grafanaData from '@grafana/data';
import { createTheme, locationUtil, type AppPlugin, type CurrentUserDTO, type NavModelItem } from '@grafana/data';
import * as grafanaRuntime from '@grafana/runtime';
import { config, locationService, setCurrentUser, type PluginPageProps } from '@grafana/runtime';
import { setPluginPage } from 'grafana-runtime-internal';
import * as grafanaUi from '@grafana/ui';
import { GlobalStyles, PortalContainer, Stack, TextLink, ThemeContext } from '@grafana/ui';
import lodash from 'lodash';
import moment from 'moment';
import * as react from 'react';
import { Component, useEffect, type ReactNode } from 'react';
import * as reactDom from 'react-dom';
import { createRoot } from 'react-dom/client';
import * as jsxRuntime from 'react/jsx-runtime';
import * as reactRouter from 'react-router-dom-v5-compat';
import { CompatRouter, Route, Routes, useLocation } from 'react-router-dom-v5-compat';
import { Router } from 'react-router-dom';
import * as rxjs from 'rxjs';
import * as rxjsOperators from 'rxjs/operators';

interface Settings {
  id: string;
  name: string;
  enabled: boolean;
  module: string;
  info: { version: string };
  includes: Array<{ name: string; path: string; addToNav?: boolean; shown: boolean }>;
  jsonData: Record<string, string>;
}

const boot = (window as unknown as { grafanaBootData: { user: CurrentUserDTO } }).grafanaBootData;
const app = 'sotp-app';

function Page({ children, pageNav, renderTitle, subTitle, actions }: PluginPageProps) {
  const here = useLocation().pathname;
  const include = settings.includes.find((include) => include.path === here);
  const text = pageNav?.text ?? include?.name ?? settings.name;
  useEffect(() => {
    document.title = `${text} - ${settings.name} - Grafana`;
  }, [text]);
  return (
    <main>
      <Stack justifyContent="space-between" alignItems="flex-start" wrap="wrap">
        <div>
          {renderTitle ? renderTitle(text) : <h1>{text}</h1>}
          <p>{subTitle ?? pageNav?.subTitle}</p>
        </div>
        {actions}
      </Stack>
      {children}
    </main>
  );
}

setPluginPage(Page as Parameters<typeof setPluginPage>[0]);

let settings: Settings;

function Nav() {
  return (
    <nav aria-label="SOTP">
      <Stack gap={2} wrap="wrap">
        {settings.includes
          .filter((include) => include.addToNav && include.shown)
          .map((include) => (
            <TextLink key={include.path} href={include.path}>
              {include.name}
            </TextLink>
          ))}
        <span style={{ marginLeft: 'auto' }}>
          {boot.user.login || 'anonymous'} ({boot.user.orgRole})
        </span>
      </Stack>
    </nav>
  );
}

/** What the app throws is shown as Grafana does, and makes a test fail that looks for it. */
class Boundary extends Component<{ children: ReactNode }, { error?: unknown }> {
  override state: { error?: unknown } = {};
  static getDerivedStateFromError(error: unknown) {
    return { error };
  }
  override render() {
    return this.state.error === undefined ? this.props.children : <pre id="crashed">{String(this.state.error)}</pre>;
  }
}

function share(name: string, module: object) {
  const whole = { ...module, __useDefault: true } as Record<string, unknown>;
  whole.default ??= module;
  System.set(`grafana:${name}`, whole);
  return [name, `grafana:${name}`];
}

async function start() {
  locationUtil.initialize({
    config: config as never,
    getTimeRangeForUrl: () => ({ from: 'now-1h', to: 'now' }),
    getVariablesUrlParams: () => ({}),
  });
  setCurrentUser(boot.user);
  const answered = await fetch(`/api/plugins/${app}/settings`);
  settings = (await answered.json()) as Settings;
  const shared = {
    react,
    'react-dom': reactDom,
    'react/jsx-runtime': jsxRuntime,
    'react-router': reactRouter,
    '@grafana/data': grafanaData,
    '@grafana/runtime': grafanaRuntime,
    '@grafana/ui': grafanaUi,
    '@emotion/css': emotionCss,
    '@emotion/react': emotionReact,
    rxjs,
    'rxjs/operators': rxjsOperators,
    lodash,
    moment,
  };
  const imports = Object.fromEntries(Object.entries(shared).map(([name, module]) => share(name, module)));
  System.addImportMap({ imports });
  const loaded = await System.import(`/${settings.module}?_cache=${settings.info.version}`);
  const plugin = (loaded as { plugin: AppPlugin }).plugin;
  const Root = plugin.root!;
  const theme = createTheme({ colors: { mode: new URLSearchParams(location.search).get('theme') === 'light' ? 'light' : 'dark' } });
  const nav: NavModelItem = { text: settings.name };
  const meta = { ...settings, type: 'app', baseUrl: `public/plugins/${app}` } as never;
  plugin.init(meta);
  createRoot(document.getElementById('reactRoot')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Router history={locationService.getHistory()}>
        <CompatRouter>
          <div style={{ padding: 24, boxSizing: 'border-box', maxWidth: '100vw' }}>
            <Nav />
            <Boundary>
              <Routes>
                <Route
                  path={`/a/${app}/*`}
                  element={<Root basename={`/a/${app}`} meta={meta} query={{}} path="" onNavChanged={() => nav} />}
                />
                <Route path="*" element={<p id="elsewhere">{location.pathname}</p>} />
              </Routes>
            </Boundary>
          </div>
          <PortalContainer />
        </CompatRouter>
      </Router>
    </ThemeContext.Provider>
  );
}

start().catch((error) => {
  document.getElementById('reactRoot')!.innerHTML = '<pre id="crashed"></pre>';
  document.getElementById('crashed')!.textContent = String(error?.stack ?? error);
});
