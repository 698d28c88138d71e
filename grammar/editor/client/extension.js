// Starts `ckmapc lsp` and connects the editor to it. All that is known about the language is in the server.
'use strict';

const vscode = require('vscode');
const { LanguageClient } = require('vscode-languageclient/node');
const { serverOptions, settings } = require('./options');

let client;

function configuration() {
  const folders = vscode.workspace.workspaceFolders || [];
  const root = folders.length > 0 ? folders[0].uri.fsPath : undefined;
  const section = vscode.workspace.getConfiguration('ckmap');
  return settings((key) => section.get(key), root);
}

async function start() {
  const command = vscode.workspace.getConfiguration('ckmap').get('command');
  client = new LanguageClient('ckmap', 'ckmap', serverOptions(command), {
    documentSelector: [{ language: 'ckmap' }],
    initializationOptions: configuration(),
  });
  try {
    await client.start();
  } catch (error) {
    vscode.window.showErrorMessage(
      `ckmap: ${command} cannot be started (${error.message}). Set "ckmap.command" to the path of ckmapc.`);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running && running.isRunning()) await running.stop();
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand('ckmap.restart', async () => {
      await stop();
      await start();
    }),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (!event.affectsConfiguration('ckmap') || !client || !client.isRunning()) return;
      client.sendNotification('workspace/didChangeConfiguration', { settings: { ckmap: configuration() } });
    }));
  await start();
}

module.exports = { activate, deactivate: stop };
