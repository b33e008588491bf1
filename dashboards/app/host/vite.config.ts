import react from '@vitejs/plugin-react';
import { cpSync } from 'node:fs';
import { resolve } from 'node:path';
import { defineConfig } from 'vite';

const internal = (path: string) => resolve(`node_modules/@grafana/${path}`);

/** The page around the app for tests: the real shared modules of Grafana in one file. Never shipped. */
export default defineConfig({
  plugins: [
    react(),
    {
      name: 'icons',
      closeBundle() {
        cpSync('node_modules/@grafana/ui/dist/public/img', 'host-dist/img', { recursive: true });
      },
    },
  ],
  resolve: {
    alias: {
      // What Grafana itself reaches and a package from npm hides.
      'grafana-runtime-internal': internal('runtime/dist/esm/components/PluginPage.mjs'),
    },
    dedupe: ['react', 'react-dom', '@emotion/css', '@emotion/react'],
  },
  publicDir: false,
  build: {
    outDir: 'host-dist',
    target: 'es2022',
    minify: false,
    sourcemap: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 100_000,
    rollupOptions: {
      input: 'host/host.tsx',
      output: { format: 'iife', entryFileNames: 'host.js', assetFileNames: '[name][extname]', inlineDynamicImports: true },
    },
  },
});
