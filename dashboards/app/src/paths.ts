export const ROOT = '/a/sotp-app';

export const devicePath = (name: string) => `${ROOT}/devices/${encodeURIComponent(name)}`;
export const maintenancePath = (name: string) => `${ROOT}/maintenance?device=${encodeURIComponent(name)}`;
export const consolePath = (name: string) => `${ROOT}/console?device=${encodeURIComponent(name)}`;
export const configurationPath = (name: string) => `${ROOT}/configuration?device=${encodeURIComponent(name)}`;
export const tracePath = (id: string) => `/d/sotp-trace?var-trace=${encodeURIComponent(id)}`;
export const runPath = (id: string) => `${ROOT}/console?run=${encodeURIComponent(id)}`;
