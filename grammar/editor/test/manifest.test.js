// The extension itself: what package.json names is there, and the client starts the server in an editor's stead.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const test = require('node:test');

const root = path.join(__dirname, '..');
const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));

test('every file that package.json names is there and is JSON or code', () => {
  const { languages, grammars } = manifest.contributes;
  for (const file of [languages[0].configuration, grammars[0].path]) {
    JSON.parse(fs.readFileSync(path.join(root, file), 'utf8'));
  }
  assert.ok(fs.existsSync(path.join(root, manifest.main)));
});

// Stands in for VS Code, as far as the extension uses it.
function editor(values) {
  const state = { commands: {}, listeners: [], errors: [], sent: [], started: 0, stopped: 0 };
  const vscode = {
    workspace: {
      workspaceFolders: [{ uri: { fsPath: '/work space' } }],
      getConfiguration: () => ({ get: (key) => values[key] }),
      onDidChangeConfiguration: (listener) => { state.listeners.push(listener); return {}; },
    },
    commands: { registerCommand: (name, action) => { state.commands[name] = action; return {}; } },
    window: { showErrorMessage: (text) => state.errors.push(text) },
  };
  class LanguageClient {
    constructor(id, name, server, client) { Object.assign(state, { id, server, client }); this.running = false; }
    async start() {
      if (values.command === 'none') throw new Error('spawn none ENOENT');
      state.started++;
      this.running = true;
    }
    async stop() { state.stopped++; this.running = false; }
    isRunning() { return this.running; }
    sendNotification(method, params) { state.sent.push([method, params]); }
  }
  return { state, modules: { vscode, 'vscode-languageclient/node': { LanguageClient } } };
}

function load(modules) {
  const original = Module._load;
  Module._load = (name, ...rest) => modules[name] || original(name, ...rest);
  try {
    const file = require.resolve('../client/extension.js');
    delete require.cache[file];
    return require(file);
  } finally {
    Module._load = original;
  }
}

test('the client starts, tells of changed settings, restarts and stops', async () => {
  const values = { command: '/opt/ckmapc', packPath: ['packs'], source: 'a.safetensors', target: '/b.yaml', config: '' };
  const { state, modules } = editor(values);
  const extension = load(modules);
  await extension.activate({ subscriptions: [] });
  assert.deepStrictEqual(state.server, { command: '/opt/ckmapc', args: ['lsp', '--stdio'] });
  assert.strictEqual(state.client.initializationOptions.source, '/work space/a.safetensors');
  values.source = 'c.pth';
  state.listeners[0]({ affectsConfiguration: (name) => name === 'ckmap' });
  assert.strictEqual(state.sent[0][0], 'workspace/didChangeConfiguration');
  assert.strictEqual(state.sent[0][1].settings.ckmap.source, '/work space/c.pth');
  await state.commands['ckmap.restart']();
  assert.strictEqual(state.started, 2);
  await extension.deactivate();
  assert.strictEqual(state.stopped, 2);
});

test('a compiler that is not there is told, with the setting that mends it', async () => {
  const { state, modules } = editor({ command: 'none', packPath: [], source: '', target: '', config: '' });
  await load(modules).activate({ subscriptions: [] });
  assert.match(state.errors[0], /ckmap\.command/);
});
