// The client against the real server: `CKMAPC` names the program.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const rpc = require('vscode-jsonrpc/node');
const { serverOptions, settings } = require('../client/options');

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ckmap-editor-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
const uri = `file://${folder}/a.ckmap`;

// A running server with one open document, and what it says about it.
class Session {
  static async open(text, options = {}) {
    const session = new Session();
    const { command, args } = serverOptions(process.env.CKMAPC);
    session.process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    session.exited = new Promise((resolve) => session.process.on('exit', resolve));
    session.connection = rpc.createMessageConnection(
      new rpc.StreamMessageReader(session.process.stdout), new rpc.StreamMessageWriter(session.process.stdin));
    session.published = [];
    session.waiting = [];
    session.connection.onNotification('textDocument/publishDiagnostics', (params) => {
      const next = session.waiting.shift();
      if (next) next(params); else session.published.push(params);
    });
    session.connection.listen();
    session.capabilities = (await session.connection.sendRequest('initialize', {
      processId: process.pid, rootUri: null, capabilities: {}, initializationOptions: options,
    })).capabilities;
    session.connection.sendNotification('initialized', {});
    session.connection.sendNotification('textDocument/didOpen', {
      textDocument: { uri, languageId: 'ckmap', version: 1, text },
    });
    return session;
  }
  diagnostics() {
    if (this.published.length > 0) return Promise.resolve(this.published.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  ask(method, line, character, more = {}) {
    return this.connection.sendRequest(`textDocument/${method}`, {
      textDocument: { uri }, position: { line, character }, ...more,
    });
  }
  async close() {
    await this.connection.sendRequest('shutdown');
    this.connection.sendNotification('exit');
    assert.strictEqual(await this.exited, 0);
  }
}

test('mistakes come and go while typing', async () => {
  const session = await Session.open('ckmap 1;\n"h.{n}.w" -> "b.{m}.w";\n');
  const first = await session.diagnostics();
  assert.strictEqual(first.diagnostics[0].code, 'CK0301');
  assert.deepStrictEqual(first.diagnostics[0].range.start, { line: 1, character: 16 });
  session.connection.sendNotification('textDocument/didChange', {
    textDocument: { uri, version: 2 },
    contentChanges: [{ range: { start: { line: 1, character: 17 }, end: { line: 1, character: 18 } }, text: 'n' }],
  });
  const second = await session.diagnostics();
  assert.strictEqual(second.version, 2);
  assert.deepStrictEqual(second.diagnostics, []);
  await session.close();
});

test('hover, definition, rename, completion, symbols, formatting', async () => {
  const session = await Session.open('ckmap 1;\nparam heads: int = 8;\n"q" [heads, D] | transpose()   -> "k";\n');
  await session.diagnostics();
  assert.match((await session.ask('hover', 2, 20)).contents.value, /Swaps two axes/);
  assert.deepStrictEqual((await session.ask('definition', 2, 7))[0].range.start, { line: 1, character: 6 });
  const edits = (await session.ask('rename', 2, 7, { newName: 'n_heads' })).changes[uri];
  assert.strictEqual(edits.length, 2);
  await assert.rejects(session.ask('rename', 2, 7, { newName: 'layer' }), /keyword/);
  const completion = await session.ask('completion', 2, 18);
  assert.ok(completion.items.some((item) => item.label === 'transpose'));
  assert.ok((await session.ask('documentSymbol', 0, 0)).some((symbol) => symbol.name === 'heads'));
  const [edit] = await session.connection.sendRequest('textDocument/formatting', {
    textDocument: { uri }, options: { tabSize: 2, insertSpaces: true },
  });
  assert.match(edit.newText, /transpose\(\) -> "k"/);
  await session.close();
});

test('the settings reach the server', async () => {
  fs.writeFileSync(path.join(folder, 'net.yaml'), 'tensors: [{name: h.0.w, dtype: f32, shape: [4, 4]}]\n');
  const values = { packPath: ['packs'], source: 'net.yaml' };
  const options = settings((key) => values[key], folder);
  assert.deepStrictEqual(options, {
    packPath: [path.join(folder, 'packs')], source: path.join(folder, 'net.yaml'), target: '', config: '',
  });
  const session = await Session.open('ckmap 1;\n"h.{n}.w" -> "b.{n}.w";\n', options);
  await session.diagnostics();
  assert.match((await session.ask('hover', 1, 8)).contents.value, /`h\.0\.w` f32 \[4, 4\]/);
  await session.close();
});

test('what the extension promises, the server can', async () => {
  const session = await Session.open('ckmap 1;\n');
  for (const name of ['hover', 'definition', 'references', 'documentSymbol', 'documentFormatting', 'codeAction']) {
    assert.strictEqual(session.capabilities[`${name}Provider`], true, name);
  }
  assert.strictEqual(session.capabilities.positionEncoding, 'utf-16');
  await session.close();
});
