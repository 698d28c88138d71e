// What of the client needs no editor, so that a test can use it.
'use strict';

const path = require('path');

// How the server is started: as the client library wants it.
function serverOptions(command) {
  return { command: command || 'ckmapc', args: ['lsp', '--stdio'] };
}

// The settings that the server reads; relative paths are those of the workspace.
function settings(get, root) {
  const full = (file) => (file && root && !path.isAbsolute(file) ? path.join(root, file) : file || '');
  return {
    packPath: (get('packPath') || []).map(full),
    source: full(get('source')),
    target: full(get('target')),
    config: full(get('config')),
  };
}

module.exports = { serverOptions, settings };
