import react from '@vitejs/plugin-react';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** What Grafana hands to every plugin; all else is bundled. */
const SHARED = [
  'react',
  'react-dom',
  'react/jsx-runtime',
  'react-router',
  '@grafana/data',
  '@grafana/runtime',
  '@grafana/ui',
  '@emotion/css',
  '@emotion/react',
  'rxjs',
  'rxjs/operators',
  'lodash',
  'moment',
];

/** Grafana asks for module.js by the plugin's version, and a browser keeps it for an hour: other content, other version. */
function stamped(): Plugin {
  return {
    name: 'stamped',
    apply: 'build',
    closeBundle() {
      const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
      const content = createHash('sha256');
      for (const file of readdirSync('dist').filter((name) => name.endsWith('.js')).sort()) {
        content.update(file).update(readFileSync(`dist/${file}`));
      }
      const plugin = JSON.parse(readFileSync('dist/plugin.json', 'utf8'));
      plugin.info.version = `${version}-${content.digest('hex').slice(0, 10)}`;
      writeFileSync('dist/plugin.json', JSON.stringify(plugin, null, 2) + '\n');
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [react(), stamped()],
  build: {
    target: 'es2022',
    sourcemap: true,
    modulePreload: false,
    rollupOptions: {
      input: 'src/module.tsx',
      preserveEntrySignatures: 'strict',
      external: SHARED,
      output: {
        format: 'system',
        entryFileNames: 'module.js',
        chunkFileNames: '[name]-[hash].js',
        assetFileNames: '[name]-[hash][extname]',
      },
    },
  },
  test: {
    environment: 'jsdom',
    setupFiles: 'test/setup.ts',
    include: ['test/**/*.test.tsx'],
    testTimeout: 30_000,
    // Reading @grafana/ui takes most of the time: once for all.
    fileParallelism: false,
    isolate: false,
    server: { deps: { inline: [/@grafana\//, /rc-picker/, /react-use/] } },
  },
});
